"""Settings of the occupancy domain: data, numbers of points, and native resolution."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_core.api import acts_on, inside, within

GLTF = (".glb", ".gltf")  # y points up: glTF 2.0 specification, section 3.4
ALL_Z = "all-z"


@frozen
class OccupancySettings:
    """Settings of the occupancy domain.

    Args:
        resolution: cells along each axis of the native lattice, on which meshes are extracted.
        plane: cells along each axis of the finest planes of the encoder.
        surface: surface points per shape that the encoder gets.
        points: points in space stored per shape, half of them uniform, half near the surface.
        count: number of shapes of the procedural source.
        held_out: share of the shapes that are not used in training.
        augment: mirror shapes (left and right) at random in training.
        normals: whether the encoder gets the normals of the surface points.
        noise: standard deviation of the noise that surface points have in training; a shape's longest side is 1.8.
        limit: maximum number of shapes, chosen by a stable hash of their names; 0 for all.
        classes: use the sub-folders of a folder of meshes as classes.
        up: the axis that points up in mesh files, read and written: `y`; `z`, as in most files for 3D printing, but
            `y` in glTF files, which have it so by their format; or `all-z`, in glTF files too.
        length: longest side of a training shape (1.8 in the model) in files that `ddmi sample` writes, such as 100 for
            millimetres; 0 keeps the units of the model.
        repair: fill holes and reorient faces of meshes if possible; otherwise such files are unusable.
        solid: what becomes of holes and sheets in mesh files: `strict` fills holes and leaves out sheets, with a
            warning; `winding` takes what has a generalised winding number above 1/2, also where holes cannot be filled;
            `wrap` keeps closed parts, and gives all others walls of `thickness`, as crates, cups and scans need.
        thickness: of these walls; a shape's longest side is 1.8. Make it at least a cell of the native lattice.
        strict: fail on unusable files; otherwise leave them out with a warning.
        set_shapes: maximum number of samples, and of held-out shapes, that MMD, COV and 1-NNA compare; also limited by
            `evaluation.samples`.
        set_points: points of each shape in the chamfer distances of MMD, COV and 1-NNA; at most `surface`.
        emd_shapes: maximum number of shapes of each set in the earth mover's distances; at most `set_shapes`.
        emd_points: points of each shape there; at most `set_points`. The time of a pair grows with the cube: about 0.02
            seconds for 256 points, and 2 for 2048.
    """

    resolution: int = field(default=64, validator=within(8, 1024))
    plane: int = field(default=32, validator=within(8, 512))
    surface: int = field(default=2048, validator=within(64, 1 << 24))
    points: int = field(default=16384, validator=within(64, 1 << 24))
    count: int = field(default=1500, validator=within(8, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))
    augment: bool = True
    normals: bool = True
    noise: float = field(default=0.0, validator=within(0, 1))
    limit: int = field(default=0, validator=within(0, 10**9))
    classes: bool = True
    up: str = field(default="y", validator=validators.in_(("y", "z", ALL_Z)))
    length: float = field(default=0.0, validator=within(0, 1e9), metadata=acts_on("samples"))
    repair: bool = True
    solid: str = field(default="strict", validator=validators.in_(("strict", "winding", "wrap")))
    thickness: float = field(default=0.05, validator=within(0.01, 0.5))
    strict: bool = True
    set_shapes: int = field(default=100, validator=within(2, 100_000), metadata=acts_on("figures"))
    set_points: int = field(default=1024, validator=within(16, 1 << 24), metadata=acts_on("figures"))
    emd_shapes: int = field(default=32, validator=within(2, 100_000), metadata=acts_on("figures"))
    emd_points: int = field(default=256, validator=within(16, 1 << 24), metadata=acts_on("figures"))

    def up_in(self, suffix: str) -> str:
        """The axis that points up in files with a suffix, `y` or `z`."""
        return "y" if self.up == "y" or (self.up != ALL_Z and suffix.lower() in GLTF) else "z"

    @property
    def native(self) -> tuple[int, int, int]:
        """Cells along z, y and x of the native lattice."""
        return (self.resolution,) * 3
