"""Joints to heatmaps and back: targets, decoding, averaging over mirror images, and the loss between two heatmaps.

Shapes carry their axes, as in `heatmaps_BKHW`:

    B  people of a batch                 H  rows of a heatmap: 64 for an input 256 px high
    K  joints, in a skeleton's order     W  columns of a heatmap: 48 for an input 192 px wide

There are three grids of pixels: those of the image; those of the crop, which is the network's input; and those of the
heatmap, `stride` crop pixels apart. In each the middle of the first pixel is (0, 0), and coordinates are (x, y). All
functions take whole batches and work on the device of their input. Heatmaps may be of any floating type and layout;
half precision is decoded and averaged in float32. No gradient goes through `decode`.

Codecs, by name (`dpn.protocols.CodecName`):

    quarter  SimpleBaseline, HRNet. Targets stand around rounded positions, in a square of 3 sigma. Decoding is argmax
             and a quarter of a pixel towards the higher neighbour. At a stride of s, column i stands for crop pixel
             s i. Mirroring takes it to column W - 1 - i, (s - 1) / s heatmap pixels to the left of the mirrored joint;
             hence the shift of mirrored heatmaps by one pixel, which leaves 1 / s to the right. At a stride of 4 this
             is 0.25 instead of 0.75; at 2 it is a half either way, and the shift gains nothing.
    dark     DARK (Zhang et al., CVPR 2020). Targets stand around exact positions and fill the map. Decoding is argmax
             and a Newton step on the logarithm of the blurred map. The grid is that of `quarter`, and so is the shift.
    udp      UDP with Gaussian targets (Huang et al., CVPR 2020). The outermost pixels of heatmap and crop coincide, so
             that the stride is (input - 1) / (heatmap - 1) and mirroring is exact: no shift. Targets stand around exact
             positions, in a square of 3 sigma. Decoding is argmax and a Newton step, as in mmpose 1.x. Crops must be
             UDP's as well: `dpn.data.crops.affine` with `unbiased=True`.
"""

from dpn.heatmaps.codec import Codec as Codec
from dpn.heatmaps.decoding import decode as decode
from dpn.heatmaps.decoding import to_image as to_image
from dpn.heatmaps.loss import joints_mse as joints_mse
from dpn.heatmaps.mirroring import flip_average as flip_average
from dpn.heatmaps.mirroring import flip_back as flip_back
from dpn.heatmaps.targets import encode as encode
