# SPDX-License-Identifier: MIT
include tests/bench/sim/module.mk
