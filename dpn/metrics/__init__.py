"""How good predictions are: object keypoint similarity, COCO's average precision, MPII's PCKh."""
