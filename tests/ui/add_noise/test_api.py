"""/add_noise through gradio_client."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from playground import noise, pictures
from tests.ui.add_noise.tab import DUSK


def test_the_endpoint_gives_the_picture_and_the_coefficients(client: Client) -> None:
    path, numbers = client.predict(handle_file(str(DUSK)), 400, "linear", 7, api_name="/add_noise")
    assert numbers == vars(noise.coefficients("linear", 400))
    x0 = pictures.to_x0(pictures.open_picture(DUSK))
    expected = pictures.from_x0(noise.add_noise(x0, noise.noise_like(x0.shape, 7), 400, "linear"))
    assert np.array_equal(np.asarray(Image.open(path).convert("RGB")), np.asarray(expected))


def test_only_the_endpoint_is_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == ["/add_noise"]
    parameters = endpoints["named_endpoints"]["/add_noise"]["parameters"]
    assert [parameter["parameter_name"] for parameter in parameters] == ["picture", "t", "schedule", "seed", "example"]


@pytest.mark.parametrize(
    ("t", "schedule", "seed", "sentence"),
    [
        (1000, "linear", 0, "t must be a whole number from 0 to 999."),
        (2.5, "linear", 0, "t must be a whole number from 0 to 999."),
        (True, "linear", 0, "t must be a whole number from 0 to 999."),
        (5, "sigmoid", 0, "schedule must be one of scaled_linear, linear, cosine, zero_snr, flow."),
        (5, "linear", -1, "seed must be a whole number from 0 to 4,294,967,295."),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(
    client: Client, t: object, schedule: str, seed: int, sentence: str
) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)):
        client.predict(handle_file(str(DUSK)), t, schedule, seed, api_name="/add_noise")


def test_the_endpoint_refuses_what_is_not_a_picture(client: Client, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(AppError, match="is not a PNG"):
        client.predict(handle_file(str(tmp_path / "notes.png")), 5, "linear", 0, api_name="/add_noise")


def test_zero_terminal_snr_ends_in_pure_noise(client: Client) -> None:
    """The schedule of which the page compares the curve; at its end nothing of the picture is left."""
    path, numbers = client.predict(handle_file(str(DUSK)), 999, "zero_snr", 7, api_name="/add_noise")
    assert numbers["alpha_bar"] == 0 and numbers["snr"] == 0 and numbers["log_snr"] is None
    expected = pictures.from_x0(noise.noise_like(pictures.to_x0(pictures.open_picture(DUSK)).shape, 7))
    assert np.array_equal(np.asarray(Image.open(path).convert("RGB")), np.asarray(expected))
