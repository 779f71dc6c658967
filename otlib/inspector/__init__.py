"""Look at the transport between a true and a predicted sequence: live in JupyterLab, as a picture, or as a page.

``comparison`` computes, ``scene`` and ``panels`` draw, ``widget`` is the live view, ``page`` the one without a kernel.
"""

from otlib.inspector.figures import still
from otlib.inspector.page import write_page
from otlib.inspector.transport import Comparison, Controls, MovingMesh
from otlib.inspector.widget import Inspector

__all__ = ["Comparison", "Controls", "Inspector", "MovingMesh", "still", "write_page"]
