"""How a defect is planted: a place of the shop's code gets something else. No such place: an error, and no defect."""

from __future__ import annotations


def put(owner: object, name: str, new: object) -> None:
    """`owner.name` is `new` from now on. AttributeError where the shop has no such place any more."""
    there(owner, name)
    setattr(owner, name, new)


def there(owner: object, name: str) -> None:
    """What a subclass overrides is still there. AttributeError where it is not."""
    getattr(owner, name)


def rewritten(text: str, old: str, new: str) -> str:
    """The text with `old`, which must stand in it just once, made into `new`."""
    assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
    return text.replace(old, new)
