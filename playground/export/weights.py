"""The lines by which a program of a page reads weights and long prompts: what `models.weighted` does, by diffusers."""

from playground.emphasis import parse
from playground.models.weighted import BACKTRACK, COMMA
from playground.recipe import Recipe

# what the pipeline is given instead of words
GIVEN = "    prompt_embeds=texts[0],\n    negative_prompt_embeds=texts[1],\n    **pooled,"
TEMPLATE = '''
# (text, its weight, whether BREAK stands before it), by AUTOMATIC1111's marks
prompt = {prompt!r}
negative_prompt = {negative_prompt!r}


def chunks_of(tokenizer, parts):
    """Tokens with their weights, as many in a chunk as the encoder has room for; a full one ends at a near comma."""
    room, comma, chunks = tokenizer.model_max_length - 2, -1, [[]]
    begins = False
    for text, weight, breaks in parts:
        begins += breaks
        for token in tokenizer(text, add_special_tokens=False, verbose=False).input_ids:
            if begins:
                chunks, comma, begins = chunks + [[] for _ in range(begins)], -1, False
            if token == tokenizer.convert_tokens_to_ids({comma!r}):
                comma = len(chunks[-1])
            elif len(chunks[-1]) == room and 0 <= comma and room - comma <= {backtrack}:
                chunks[-1:], comma = [chunks[-1][: comma + 1], chunks[-1][comma + 1 :]], -1
            if len(chunks[-1]) == room:
                chunks, comma = [*chunks, []], -1
            chunks[-1].append((token, weight))
    return chunks


@torch.inference_mode()
def encoded(tokenizer, encoder, chunks, skip):
    """What CLIP says of each token, times its weight, each chunk brought back to its mean; and of the first chunk."""
    start, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    room = tokenizer.model_max_length - 2
    rows = [[(start, 1.0), *chunk, (end, 1.0)] + [(pad, 1.0)] * (room - len(chunk)) for chunk in chunks]
    ids, weights = (torch.tensor([[pair[i] for pair in row] for row in rows]) for i in (0, 1))
    answer = encoder(ids, output_hidden_states=True)
    if hasattr(pipe, "tokenizer_2"):  # SDXL
        states = answer.hidden_states[-(skip + 2)]
    elif skip:
        states = getattr(encoder, "text_model", encoder).final_layer_norm(answer.hidden_states[-(skip + 1)])
    else:
        states = answer[0]
    found = states * weights[:, :, None]
    found = found * (states.mean((1, 2), keepdim=True) / found.mean((1, 2), keepdim=True))
    found = torch.where((weights == 1).all(1)[:, None, None], states, found)
    return found.reshape(1, -1, states.shape[-1]), answer[0][:1]


encoders = [(pipe.tokenizer, pipe.text_encoder)]
if hasattr(pipe, "tokenizer_2"):
    encoders.append((pipe.tokenizer_2, pipe.text_encoder_2))
texts, pooled = [], {{}}
for parts, skip in ((prompt, {clip_skip}), (negative_prompt, 0)):
    said = []
    for tokenizer, encoder in encoders:
        both = [chunks_of(tokenizer, each) for each in (parts, prompt, negative_prompt)]
        more = max(len(chunks) for chunks in both) - len(both[0])  # both texts fill as many chunks
        said.append(encoded(tokenizer, encoder, both[0] + [[]] * more, skip))
    zero = parts is negative_prompt and parts == [("", 1.0, False)] and pipe.config.get("force_zeros_for_empty_prompt")
    texts.append(torch.cat([states for states, _ in said], dim=-1) * (not zero))
    if len(encoders) > 1:
        name = "pooled_prompt_embeds" if parts is prompt else "negative_pooled_prompt_embeds"
        pooled[name] = said[-1][1] * (not zero)

'''


def lines(recipe: Recipe, guided: bool) -> str:
    """What stands before the pipeline's call: the texts of this recipe, encoded.

    Where it is not guided the negative one is not used, and is empty.
    """
    parts = {name: [tuple(part) for part in parse(getattr(recipe, name))] for name in ("prompt", "negative_prompt")}
    if not guided:
        parts["negative_prompt"] = [tuple(part) for part in parse("")]
    return TEMPLATE.format(**parts, comma=COMMA, backtrack=BACKTRACK, clip_skip=recipe.clip_skip)
