"""Attention as training computes it: the same numbers as diffusers' own processors, no weight of its own."""

from diffusers.models.attention_processor import Attention
from torch import Tensor


class PlainAttention:
    """softmax(q kᵀ / √d) v as three operations: on a CPU faster than the fused one for so few positions.

    With a list for `seen`, it keeps the attention of every cross-attention layer there, mean over heads: (B, N, 32).
    """

    def __init__(self, seen: list[Tensor] | None = None) -> None:
        self.seen = seen

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: None = None,  # diffusers passes it always; here every token may be attended to
    ) -> Tensor:
        """(B, N, C), text (B, 32, 192) or none -> (B, N, C)"""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(layer(x))
            for layer, x in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        shares = attn.get_attention_scores(query, key)  # (B·heads, N, M)
        if self.seen is not None and encoder_hidden_states is not None:
            self.seen.append(shares.unflatten(0, (-1, attn.heads)).mean(1))
        return attn.to_out[0](attn.batch_to_head_dim(shares @ value))
