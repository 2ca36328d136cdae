"""What tokens cost: the user's own prices, else those of genai-prices, else unknown."""

from collections.abc import Mapping

from backend_coordinator.domain.usage import Price, Usage

_MILLION = 1_000_000


def money_of(server: str, model: str, used: Usage, prices: Mapping[str, Price]) -> float | None:
    """US dollars for what one call used, or None where nobody knows; a server on this machine has no list price."""
    if own := prices.get(model):
        cached = own.input if own.cached is None else own.cached
        fresh = max(0, used.input_tokens - used.cached_tokens)
        return (fresh * own.input + used.cached_tokens * cached + used.output_tokens * own.output) / _MILLION
    from genai_prices import Usage as Counted  # 1.6 MB of tables, loaded when first used
    from genai_prices import calc_price

    counted = Counted(
        input_tokens=used.input_tokens, cache_read_tokens=used.cached_tokens, output_tokens=used.output_tokens
    )
    try:
        return float(calc_price(counted, model, provider_api_url=server).total_price)
    except (LookupError, ValueError):  # an unknown model, or counts that contradict each other
        return None
