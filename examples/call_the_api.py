"""Ask a running playground for a grid, as any program can.

python examples/call_the_api.py [http://127.0.0.1:7860]
"""

import sys

from gradio_client import Client

if __name__ == "__main__":
    client = Client(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860", verbose=False)
    sweep = {"base": {"prompt": "cat, yellow background"}, "axes": {"seed": [1, 2, 3]}}
    files, cells = client.predict(sweep, api_name="/render_grid")
    for file, cell in zip(files, cells, strict=True):
        print(f"seed {cell['recipe']['seed']}: {cell['seconds']:.2f} s, {cell['evaluations']} evaluations, {file}")
