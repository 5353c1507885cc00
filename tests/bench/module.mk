# SPDX-License-Identifier: MIT
include tests/bench/layer/module.mk tests/bench/sim/module.mk tests/bench/driver/module.mk tests/bench/vm/module.mk tests/bench/train/module.mk
