"""What somebody types for each parameter of a saved query or an action."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values."""

    value: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueField:
    """A field for a parameter's value; with `choices` one of them is chosen. `kind` is the parameter's."""

    name: str
    title: str
    kind: str
    value: str = ""
    hint: str | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def id(self) -> str:
        """The field's name in the form."""
        return f"p-{self.name}"

    @property
    def options(self) -> tuple[Choice, ...]:
        """The choices; before them an empty one, where none of them is chosen yet."""
        is_chosen = self.value in {choice.value for choice in self.choices}
        return self.choices if is_chosen else (Choice(value="", words="Choose"), *self.choices)


YES_NO = (Choice(value="true", words="Yes"), Choice(value="false", words="No"))
