"""What Python's clients do with a market. Each check says its name; the first that fails ends the run with its reason.

Models that nobody serves are passed over, and said to be: a market that has just been started serves one.
"""

import io
import json
import sys
import urllib.request

import anthropic
import litellm
import openai

BASE, KEY = sys.argv[1].rstrip("/"), sys.argv[2]
HELLO = [{"role": "user", "content": "What is 2 + 2?"}]


def served():
    """The first model of each category that somebody serves now."""
    with urllib.request.urlopen(f"{BASE}/v1/models") as answer:
        models = json.load(answer)["data"]
    first = {}
    for model in models:
        if model["available"]:
            first.setdefault(model["category"], model["id"])
    return first


def check(name, holds):
    if not holds:
        sys.exit(f"not ok  {name}")
    print(f"ok      {name}")


def chat(model):
    client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
    whole = client.chat.completions.create(model=model, messages=HELLO, max_tokens=20)
    check("openai: chat", whole.choices[0].message.content and whole.model == model)
    stream = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("openai: streamed chat, with its usage", text and chunks[-1].usage.completion_tokens > 0)
    text = client.completions.create(model=model, prompt="Once", max_tokens=8).choices[0].text
    check("openai: text completion", isinstance(text, str))
    response = client.responses.create(model=model, input="What is 2 + 2?", max_output_tokens=20)
    check("openai: response", response.output_text)
    with client.responses.stream(model=model, input="What is 2 + 2?", max_output_tokens=20) as events:
        final = [event for event in events][-1].response
    check("openai: streamed response", final.output_text and final.usage.output_tokens > 0)
    try:
        openai.OpenAI(base_url=f"{BASE}/v1", api_key="sk-swan-wrong", max_retries=0).models.list()
        openai.OpenAI(base_url=f"{BASE}/v1", api_key="sk-swan-wrong", max_retries=0).chat.completions.create(
            model=model, messages=HELLO
        )
        check("openai: a wrong key", False)
    except openai.AuthenticationError as error:
        check("openai: a wrong key", error.code == "invalid_api_key")

    claude = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
    message = claude.messages.create(model=model, max_tokens=20, messages=HELLO)
    check("anthropic: message", message.content[0].text and message.usage.output_tokens > 0)
    with claude.messages.stream(model=model, max_tokens=20, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
    check("anthropic: streamed message", text)

    lite = {"model": f"openai/{model}", "api_base": f"{BASE}/v1", "api_key": KEY, "messages": HELLO, "max_tokens": 20}
    check("litellm: chat", litellm.completion(**lite).choices[0].message.content)
    pieces = litellm.completion(**lite, stream=True)
    check("litellm: streamed chat", "".join(piece.choices[0].delta.content or "" for piece in pieces))


def embedding(model):
    client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
    packed = client.embeddings.create(model=model, input=["a", "b"])
    plain = client.embeddings.create(model=model, input=["a", "b"], encoding_format="float")
    same = [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
    check("openai: embeddings, packed and plain alike", same and len(plain.data) == 2)
    answer = litellm.embedding(model=f"openai/{model}", api_base=f"{BASE}/v1", api_key=KEY, input=["a"])
    check("litellm: embeddings", len(answer.data) == 1)


def image(model):
    client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
    check("openai: images", len(client.images.generate(model=model, prompt="a swan", n=2).data) == 2)


def audio(model):
    client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
    sound = io.BytesIO(bytes(1000))
    sound.name = "silence.mp3"
    check("openai: transcription", client.audio.transcriptions.create(model=model, file=sound).text)


models = served()
for category, run in (("llm", chat), ("embedding", embedding), ("image", image), ("audio", audio)):
    if category in models:
        run(models[category])
    else:
        print(f"passed  {category}: nobody serves such a model")
