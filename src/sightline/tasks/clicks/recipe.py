"""`ClickRecipe`: how a network of clicks is trained. Numbers and words only; it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import DeviceConfig, LoopConfig, OptimConfig, Part, Recipe

MODELS = (
    "lr", "fm", "fwfm", "fmfm", "ffm", "afm", "dcn", "autoint", "deepfm", "pnn", "nfm", "sam1", "sam2a", "sam2e",
    "sam3a", "sam3e",
)  # fmt: skip
"""Names of the presets; a test compares them with the registry."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Part):
    """How a log is read. What is left out is found by reading the file."""

    PANEL = "Data"

    label: str = setting("", "Column that says whether it was clicked.", panel="Columns")
    positive: float | None = setting(
        None, "Value of the label from which on it counts as a click, such as 4 stars.", panel="Columns"
    )
    user: str = setting("", "Column of users, for the AUC within users.", panel="Columns")
    time: str = setting("", "Column of times, for --split-by time.", panel="Columns")
    case: str = setting(
        "",
        "Column that is the same for all rows of one choice (a slate): rows are alternatives, of which at most one "
        "is clicked. Default: every row is a choice of its own.",
        panel="Choices",
    )
    available: str = setting(
        "",
        "Column that is not 0 where an alternative could be chosen, with --case. Default: always.",
        panel="Choices",
    )
    drop: tuple[str, ...] = setting((), "Columns to leave out; commas.", panel="Columns")
    number: tuple[str, ...] = setting((), "Columns to read as numbers; commas.", panel="Columns")
    category: tuple[str, ...] = setting((), "Columns to read as categories; commas.", panel="Columns")
    tokens: tuple[str, ...] = setting(
        (), "Columns with several categories in a cell, such as genres; commas.", panel="Columns"
    )
    transform: str = setting(
        "log",
        "How numbers enter: log is sign(x) ln(1+|x|), standardised; standard is x, standardised; winner is "
        "floor(ln(x)^2) as a category; log2 is floor(log2 x) as a category; none leaves them.",
        words=("log", "standard", "winner", "log2", "none"),
        panel="Columns",
    )
    min_count: int = setting(
        2, "Categories that training shows less often are read as unseen.", low=1, panel="Columns"
    )
    hash_buckets: int = setting(
        0, "Rows that the categories of each field are hashed into; 0: a vocabulary.", low=0, panel="Columns"
    )
    split: str = setting(
        "random", "How rows are dealt out: random, time (the last are the test), order (of the file).",
        "--split-by", words=("random", "time", "order"),
    )  # fmt: skip
    validation_share: float = setting(0.1, "Share of the rows for validation.", above=0, below=1)
    test_share: float = setting(0.1, "Share of the rows for the test, without a file of its own.", low=0, below=1)
    reader: str = setting(
        "parquet",
        "How training rows are read: parquet (by this process), ray (by Ray Data; `RAY_ADDRESS` names a cluster).",
        words=("parquet", "ray"),
    )
    rows: int = setting(20_000, "Rows of the simulated log, where no log is given.", low=100)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Part):
    """The utility."""

    PANEL = "Network"

    model: str = setting(
        "fwfm",
        f"Interaction: {', '.join(MODELS)}.",
        words=MODELS,
    )
    width: int = setting(10, "Numbers in an embedding.", above=0)
    layers: int = setting(2, "Interaction blocks of dcn, autoint and sam3.", "--blocks", above=0)
    heads: int = setting(2, "Attention heads of autoint.", above=0)
    hidden: tuple[int, ...] = setting((64, 64), "Widths of a perceptron.", hidden=True)
    pooling: str = setting(
        "concat", "How sam1 and sam3 put fields together.", "--pool", words=("concat", "weighted", "mean", "sum")
    )
    residual: bool = setting(True, "Residual in the layers of sam3 and autoint.")
    linear: bool = setting(True, "Linear terms beside the interaction.")
    dropout: float = setting(0.0, "Share that training drops.", low=0, below=1)
    init: str = setting(
        "scaled",
        "Start of the weights: scaled; ones (the same, but pair weights of ones in sam3a); published (ones, and "
        "embeddings of 0.0001, from which sam3 without a residual does not learn).",
        words=("scaled", "ones", "published"),
    )


@dataclass(frozen=True, kw_only=True)
class ClickLoop(LoopConfig):
    """How long is trained, and which epoch is kept."""

    batch_size: int = setting(1024, "Rows per step, over all devices together.", above=0)
    monitor: str = setting("loss", "Figure that chooses the epoch: loss (log loss) or auc.", words=("loss", "auc"))
    patience: int = setting(3, "Epochs without a better one after which training stops; 0: never.", low=0)


@dataclass(frozen=True, kw_only=True)
class ClickRecipe(Recipe):
    """How a network of clicks is trained."""

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    optim: OptimConfig = OptimConfig(lr=3e-3, weight_decay=0.02)
    loop: ClickLoop = ClickLoop(epochs=15)
    machine: DeviceConfig = DeviceConfig(device="cpu")

    def toy(self) -> ClickRecipe:
        """A few-second configuration for smoke tests."""
        return self.but(rows=600, epochs=2, width=4, hidden=(8,), batch_size=128, device="cpu")
