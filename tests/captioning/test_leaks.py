from cmdg_plugin.captioning.leaks import holds_secret


def test_a_secret_is_found_in_any_spelling() -> None:
    key = 'sk-Very-Secret-0123456789'
    for text in (f'A man with {key} on it.', key.upper(), key.replace('-', '- '), key.replace('r', 'r**')):
        assert holds_secret(text, [key])
    assert not holds_secret('A man in a red coat.', [key])
    # Placeholders for servers without keys are words of captions.
    assert not holds_secret('A man with an empty bag.', ['EMPTY', ''])
