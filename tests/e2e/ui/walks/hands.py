"""How a person acts on a page: by mouse or by keyboard alone. Each act counts.

A test that walks is given one of both and says what is done, never how. Neither presses what is not seen.
"""

from __future__ import annotations

from typing import Final, Protocol

from playwright.sync_api import Locator, Page, expect

MOST_TABS: Final = 300
MOST_STEPS: Final = 30
HAS_FOCUS: Final = "each => each === document.activeElement"


_FOLLOW: Final = """href => {
    const link = Object.assign(document.createElement("a"), {href});
    document.body.append(link);
    link.click();
    link.remove();
}"""


def follow(page: Page, address: str) -> None:
    """Go to an address of the page as a link of it does: nothing is loaded anew."""
    page.evaluate(_FOLLOW, address)


class Hands(Protocol):
    """What a walk needs of a person."""

    acts: int

    def press(self, target: Locator) -> None:
        """A button or a link."""

    def tick(self, target: Locator) -> None:
        """A box that is not ticked yet."""

    def choose(self, target: Locator) -> None:
        """One of several radio buttons."""

    def write(self, target: Locator, text: str) -> None:
        """In the place of what stands in a field."""


class Mouse:
    """Clicks, and types only where it has clicked."""

    def __init__(self, page: Page) -> None:
        self.acts = 0
        self._page = page

    def press(self, target: Locator) -> None:
        """Click it."""
        self.acts += 1
        target.click()

    def tick(self, target: Locator) -> None:
        """Click it."""
        self.press(target)
        expect(target).to_be_checked()

    def choose(self, target: Locator) -> None:
        """Click it."""
        self.press(target)
        expect(target).to_be_checked()

    def write(self, target: Locator, text: str) -> None:
        """Click three times, which selects what is there."""
        self.acts += 1
        target.click(click_count=3)
        self._page.keyboard.type(text)


class Keyboard:
    """Has no mouse: each target is reached by Tab, or in its group by the arrows."""

    def __init__(self, page: Page) -> None:
        self.acts = 0
        self._page = page

    def press(self, target: Locator) -> None:
        """Tab to it, and Enter."""
        self._reach(target)
        self._page.keyboard.press("Enter")

    def tick(self, target: Locator) -> None:
        """Tab to it, and Space."""
        self._reach(target)
        self._page.keyboard.press("Space")
        expect(target).to_be_checked()

    def choose(self, target: Locator) -> None:
        """Tab to its group, and the arrow down until it is chosen."""
        group = target.locator("xpath=ancestor::fieldset[1]")
        self._reach(group.locator("input:checked"))
        for _ in range(MOST_STEPS):
            if target.is_checked():
                return
            self._page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrows do not choose {target}")

    def write(self, target: Locator, text: str) -> None:
        """Tab to it, and type over all of it."""
        self._reach(target)
        self._page.keyboard.press("Control+a")
        self._page.keyboard.type(text)

    def _reach(self, target: Locator) -> None:
        self.acts += 1
        expect(target).to_be_visible()
        for _ in range(MOST_TABS):
            if target.evaluate(HAS_FOCUS):
                return
            self._page.keyboard.press("Tab")
        where = self._page.evaluate("document.activeElement?.outerHTML.slice(0, 200)")
        raise AssertionError(f"Tab does not reach {target}, and is at {where}")
