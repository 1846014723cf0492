"""One frozen dataclass per page of the portal: all that the page needs to know."""
