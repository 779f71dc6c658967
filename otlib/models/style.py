"""Speaking style: a vector for each training speaker, if the template alone should not tell who speaks."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

STYLES = ("template", "one-hot", "learned")
CODE_CHANNELS = 8  # our choice: fewer than speakers, so that speakers who move alike get codes that are alike


class SpeakerStyle(nn.Module):
    """A style vector for each training speaker, learned from that speaker's clips.

    "one-hot" is the style of FaceFormer and the systems after it: a one-hot vector times a matrix, so a free vector for
    each speaker. "learned" (our choice) has a code of a few numbers for each speaker, and one map from codes to vectors. An
    unknown speaker gets the mean of all; the peers predict once for each training speaker and average the predictions,
    which costs as many times more. The paper does not say what OT-Talk does.

    Args:
        kind: "one-hot" or "learned".
        speakers: names of the training speakers.
        width: channels of the result.
    """

    def __init__(self, kind: str, speakers: Sequence[str], width: int) -> None:
        super().__init__()
        if not speakers:
            raise ValueError(f"style {kind!r} needs the names of the training speakers")
        self.speakers = tuple(speakers)
        channels = CODE_CHANNELS if kind == "learned" else width
        self.table = nn.Linear(len(self.speakers), channels, bias=False)
        self.spread = nn.Linear(channels, width) if kind == "learned" else nn.Identity()

    def forward(self, names: Sequence[str]) -> Float[Tensor, "B W"]:
        """Return the vectors of speakers by name; an unknown name gets the mean vector."""
        count = len(self.speakers)
        rows = [[float(known == name) for known in self.speakers] if name in self.speakers else [1 / count] * count
                for name in names]
        return self.spread(self.table(self.table.weight.new_tensor(rows)))
