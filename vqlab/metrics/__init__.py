"""How near a decoded sound is to its original, over clips and speakers."""

from .measures import (
    METRICS,
    estoi,
    log_mel_distance,
    pesq_nb,
    pesq_wb,
    score,
    spectral_convergence,
    stoi,
)
from .summary import Summary, clips_from_list, markdown_table, score_codec, summarise
