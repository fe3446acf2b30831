"""From files, archives or a seed to samples: annotations, images, boxes, crops, augmentation, synthetic figures."""
