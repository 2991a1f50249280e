"""Parts of the lessons that are clicked, dragged, played and spoken to.

    voronoi(points, codes)          drag points and codes, the cells and the loss follow
    code_strip(codec, codes, gain)  a word's codes: change one, hear it
    keyboard(codec)                 the codebook as a keyboard
    recorder(seconds=3)             microphone, upload, or a bundled clip
    trade_off(waveform)             the length of the window on a slider
    knobs(function, n=slider)       sliders above what a function makes of them
    abx(a, b, rate)                a blind test: do you hear a difference?

Each is a Python object first: its state can be read, set and tested without a page, and where no
page is there (an exported notebook, a test) one sentence stands for it. Shown in JupyterLab or
Colab it has all it needs with it and asks nothing of the network. All but
their `base` lie beside the notebooks, in `notebooks/widgets` (in an installed wheel with its data).

Notebook: 05
"""

from ..files import beside_notebooks

__path__ += beside_notebooks("widgets")

from .blind import ABX as abx  # noqa: E402
from .keys import Keyboard as keyboard  # noqa: E402
from .knobs import knobs  # noqa: E402
from .plane import Voronoi as voronoi  # noqa: E402
from .recording import Recorder as recorder  # noqa: E402
from .strip import CodeStrip as code_strip  # noqa: E402
from .window import TradeOff as trade_off  # noqa: E402
