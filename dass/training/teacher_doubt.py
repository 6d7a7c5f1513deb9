"""Whether what students reach says that their teacher is not read as it was trained."""

import math

from dass.networks.checkpoint import TeacherCard

POINTS = 5.0  # by which a student must beat its teacher before anybody is told,
ERRORS = 3.0  # and by how many standard errors of the difference, where there are few test images


def outdone(card: TeacherCard, reached: float, test_images: int) -> str | None:
    """One sentence where a student is far above a teacher that was brought in; else None.

    Remapping, ranking and soft labels all build on the teacher, so one that is read wrongly makes all of them worse
    while students, which learn from the labels too, still get far.

    Args:
        card: card of the teacher.
        reached: percent of the same test images, by a student.
        test_images: number of test images.
    """
    if card.recipe_id or not math.isfinite(reached):  # one that was trained here is read as it was trained
        return None
    shares = (card.accuracy / 100, reached / 100)
    error = 100 * math.sqrt(sum(share * (1 - share) for share in shares) / max(1, test_images))
    if reached - card.accuracy <= max(POINTS, ERRORS * error):
        return None
    return (
        f"a student of {card.task} reaches {reached:.2f}%, its teacher only {card.accuracy:.2f}%: the teacher is "
        "perhaps not read as it was trained; check its normalization (mean and std), the order of its classes and "
        f"its resolution ({card.resolution} pixels here)"
    )
