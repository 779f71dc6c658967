"""Look at the transport between a true and a predicted sequence: live in JupyterLab, as a picture, or as a page.

``transport`` computes, ``measure_views`` and ``figures`` draw, ``widget`` is the live view, and ``page`` the one that needs
no kernel.
"""

from otlib.inspector.figures import still
from otlib.inspector.page import write_page
from otlib.inspector.transport import Comparison, Controls, MovingMesh
from otlib.inspector.widget import Inspector

__all__ = ["Comparison", "Controls", "Inspector", "MovingMesh", "still", "write_page"]
