"""Starts TensorZero's gateway, which its Python package embeds, and writes its address to the file `address`."""

import os
import time

from openai import OpenAI
from tensorzero import patch_openai_client

client = patch_openai_client(OpenAI(api_key="unused"), config_file="tensorzero.toml", async_setup=False)
with open("address.new", "w") as file:
    file.write(str(client.base_url))
os.rename("address.new", "address")
while True:
    time.sleep(3600)
