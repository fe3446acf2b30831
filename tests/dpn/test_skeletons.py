"""Joints, flip pairs, limbs and sigmas against the data sets' own numbering."""

import pytest

from dpn.data.pckh_truth import JOINT_NAMES
from dpn.skeletons import COCO_17, COCO_18, MPII_16, Skeleton

ALL = {"COCO_17": COCO_17, "MPII_16": MPII_16, "COCO_18": COCO_18}


@pytest.mark.parametrize("skeleton", ALL.values(), ids=ALL)
def test_flipping_twice_is_nothing_and_swaps_every_sided_joint(skeleton: Skeleton) -> None:
    swapped = [joint for pair in skeleton.flip_pairs for joint in pair]
    sided = [i for i, name in enumerate(skeleton.joints) if name.startswith(("left_", "right_"))]
    assert sorted(swapped) == sided
    for first, second in skeleton.flip_pairs:
        assert {skeleton.joints[first].split("_")[0], skeleton.joints[second].split("_")[0]} == {"left", "right"}
        assert skeleton.joints[first].split("_")[1] == skeleton.joints[second].split("_")[1]


@pytest.mark.parametrize("skeleton", ALL.values(), ids=ALL)
def test_mirroring_exchanges_left_and_right_by_their_names(skeleton: Skeleton) -> None:
    """Section 4.4: the joint that is called left afterwards is the one that was called right, and middle ones stay."""
    exchanged = {"left": "right", "right": "left"}
    expected = ["_".join(exchanged.get(word, word) for word in name.split("_")) for name in skeleton.joints]
    assert [skeleton.joints[joint] for joint in skeleton.mirrored] == expected


@pytest.mark.parametrize("skeleton", ALL.values(), ids=ALL)
def test_limbs_join_all_joints_and_mirror_into_limbs(skeleton: Skeleton) -> None:
    reached = {0}
    for _ in skeleton.joints:
        reached |= {joint for ends in skeleton.limb_ends if reached & set(ends) for joint in ends}
    assert reached == set(range(len(skeleton.joints)))
    swap = {a: b for pair in skeleton.flip_pairs for a, b in (pair, pair[::-1])}
    limbs = {frozenset(ends) for ends in skeleton.limb_ends}
    assert {frozenset(swap.get(joint, joint) for joint in ends) for ends in limbs} == limbs
    assert len(limbs) == len(skeleton.limbs)


def test_flip_pairs_are_those_of_the_published_protocols() -> None:
    assert COCO_17.flip_pairs == tuple((i, i + 1) for i in range(1, 17, 2))
    assert set(MPII_16.flip_pairs) == {(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)}


def test_sigmas_are_cocos() -> None:
    tenths = ".26 .25 .25 .35 .35 .79 .79 .72 .72 .62 .62 1.07 1.07 .87 .87 .89 .89"
    assert COCO_17.oks_sigmas == pytest.approx([float(sigma) / 10 for sigma in tenths.split()])


def test_mpii_order() -> None:
    short = "rank rkne rhip lhip lkne lank pelv thor neck head rwri relb rsho lsho lelb lwri"
    assert " ".join(JOINT_NAMES) == short


def test_limbs_of_openpose_have_the_released_channels() -> None:
    """The published parser lists limbs in another order, with 1-based parts and channels counted behind 19 heatmaps."""
    parser_limbs = (
        (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14),
        (2, 1), (1, 15), (15, 17), (1, 16), (16, 18), (3, 17), (6, 18),
    )  # fmt: skip
    parser_x = (31, 39, 33, 35, 41, 43, 19, 21, 23, 25, 27, 29, 47, 49, 53, 51, 55, 37, 45)
    expected = {(x - 19) // 2: (start - 1, end - 1) for (start, end), x in zip(parser_limbs, parser_x, strict=True)}
    assert expected == dict(enumerate(COCO_18.limb_ends))


def test_joints_are_found_by_name() -> None:
    order = COCO_18.find(COCO_17)
    assert [COCO_18.joints[i] for i in order] == list(COCO_17.joints)
    assert COCO_18.joints.index("neck") not in order
    with pytest.raises(ValueError, match="no neck among nose"):
        COCO_17.find(COCO_18)
