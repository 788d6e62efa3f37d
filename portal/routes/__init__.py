"""What each address answers: read the form, call one verb, commit once, show or redirect."""
