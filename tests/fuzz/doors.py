"""All doors and all sound inputs."""

from tests.fuzz import doors_of_data, doors_of_driver, doors_of_models, doors_of_talk
from tests.fuzz.bases import BASES
from tests.fuzz.case import Door

DOORS: list[Door] = [*doors_of_data.DOORS, *doors_of_models.DOORS, *doors_of_talk.DOORS, *doors_of_driver.DOORS]

__all__ = ["BASES", "DOORS"]
