# SPDX-License-Identifier: MIT
# Says so, and prints nothing, without Debian's python3-torch.
tests/bench/train/lenet: $(BUILD)/bin/igrad-train
BENCHES += tests/bench/train/lenet
