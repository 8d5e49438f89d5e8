"""What an error says of too many unreadable images."""

from __future__ import annotations

from .counting import plural


def too_many(
    count: int, images: int, share: float, first: tuple[str, str], option: str, listed: str = ""
) -> str:
    """Returns how many images cannot be read, the first reason, and what to do.

    Args:
        count: Number of unreadable images.
        images: Number of all images.
        share: Share that the option allows.
        first: Name of an unreadable image, and the reason.
        option: Name of the option.
        listed: File that lists all unreadable images; "" if there is none.
    """
    key, reason = first
    where = f"All are listed in {listed}. " if listed else ""
    return (
        f"{count} of {plural(images, 'image')} are unreadable, more than {option} {share:g} "
        f"allows; the first: '{key}': {reason}. {where}Repair or remove them, or raise {option}."
    )
