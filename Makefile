# One word for everything a person does here; `make` alone lists the words.
# Needs Python 3.11 or newer, g++ and make. The environment is made in .venv when it is first needed.

PYTHON ?= python3
BIN := .venv/bin
# By way of Python, which compiles what is imported, when it is: pip quotes its path badly in a script whose path has a space or a $$ in it.
FIVEBYFIVE := $(BIN)/python -m fivebyfive
PYTEST := $(BIN)/python -m pytest
WORKERS = $(shell $(PYTHON) -c "import os; print(min(4, os.cpu_count()) + 1)")  # one may wait for a compiler
# Every warning is an error, and all of them are shown; -n: a reference that leads nowhere is a warning.
SPHINX := --fresh-env --fail-on-warning --keep-going --nitpicky --quiet --builder html
# Python keeps what it compiled, also where the environment says not to: tests start it some thousand times.
unexport PYTHONDONTWRITEBYTECODE
# Percent of the Python code's lines and branches that the tests of `make test` reach, at least.
COVERAGE_FLOOR = 94

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all coverage-python test-studio lint verify verify-100-20 verify-all verify-netlist verify-sizes verify-axi coverage proofs mutants fuzz readings faults train bench compressed registers status schedule picture pictures figures fit-area bitstream diagrams docs wheel-test clean networks studio-speed studio-pictures

help: ## list these words
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: .venv/demo.stamp ## the shipped LeNet as Verilog, real digits through it, a table and a picture in build/
	@$(FIVEBYFIVE) demo

test: .venv/test.stamp ## every kind of test, on Verilator and Icarus; about twenty minutes on two cores
	@tools/apt-install iverilog iverilog "the tests run every bench on Icarus Verilog too"
	@tools/apt-install chromium chromium "the tests open the page of fivebyfive studio in it" || [ "$$CI" != true ]
	$(PYTEST) --numprocesses $(strip $(WORKERS)) --dist worksteal

test-all: .venv/test.stamp ## the repetitions, too; docs/test-all.log; an hour and a half
	@tools/apt-install iverilog iverilog "the tests run every bench on Icarus Verilog too"
	@tools/apt-install chromium chromium "the tests open the page of fivebyfive studio in it" || [ "$$CI" != true ]
	$(PYTEST) --numprocesses $(strip $(WORKERS)) --dist worksteal -m "" --times=docs/test-all.log

coverage-python: .venv/test.stamp ## what the tests of `make test` run of the Python code, traced; half an hour
	@tools/apt-install iverilog iverilog "the tests run every bench on Icarus Verilog too"
	@tools/apt-install chromium chromium "the tests open the page of fivebyfive studio in it" || [ "$$CI" != true ]
	$(PYTEST) --numprocesses $(strip $(WORKERS)) --dist worksteal --cov --cov-branch --cov-report=term:skip-covered \
	  --cov-fail-under=$(COVERAGE_FLOOR)

test-studio: .venv/test.stamp ## the page of fivebyfive studio in Chromium: digits, sizes, accessibility, trouble; ten minutes
	@tools/apt-install chromium chromium "the tests open the page of fivebyfive studio in it"
	$(PYTEST) tests/studio -m "" --durations=0

studio-speed: .venv/test.stamp ## from pen up to the class in fivebyfive studio, on an idle machine; docs/studio-speed.log
	$(BIN)/python -m tests.studio.speed docs/studio-speed.log
	$(BIN)/python -m fivebyfive.verify.figures record docs/studio-speed.log

proofs: .venv/test.stamp ## the formal proofs, and the seeded bugs that they refute; under five minutes of CPU
	$(PYTEST) tests/proofs -m "" --durations=0

lint: .venv/test.stamp ## style, format, types and plain mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/typecheck

verify: .venv/test.stamp ## 1,000 test images on Verilator and 20 on Icarus, every layer compared; about ten minutes
	@tools/apt-install iverilog iverilog "20 images run on Icarus Verilog too"
	$(FIVEBYFIVE) simulate --images 1000
	$(FIVEBYFIVE) simulate --images 20 --simulator icarus

verify-100-20: .venv/demo.stamp ## all 10,000 test images in one run of 100 + 20 multipliers, logits; about ten minutes
	$(BIN)/python -m fivebyfive.verify.images --log docs/verify-100-20.log --processes 1 --logits-only --conv-pes 4

verify-all: .venv/demo.stamp ## all 10,000 test images on Verilator, two processes; about half an hour; docs/verify-all.log
	$(BIN)/python -m fivebyfive.verify.images --log docs/verify-all.log

verify-netlist: .venv/demo.stamp ## 20 test images through the cells that Yosys makes for ECP5 and xc7; docs/verify-netlist.log
	$(BIN)/python -m fivebyfive.verify.netlist --log docs/verify-netlist.log

verify-sizes: .venv/demo.stamp ## 100 test images through machines of five sizes, logits; docs/verify-sizes.log; a quarter of an hour
	$(BIN)/python -m fivebyfive.verify.sizes --log docs/verify-sizes.log

verify-axi: .venv/test.stamp ## 200 test images through the AXI core, stalls on every channel; docs/verify-axi.log; ten minutes
	@tools/apt-install iverilog iverilog "the AXI core runs on Icarus Verilog too"
	$(BIN)/python -m fivebyfive.verify.axi --log docs/verify-axi.log

mutants: .venv/test.stamp ## seeded faults in every component, would its bench notice? docs/mutants.log; most of an hour
	$(BIN)/python -m fivebyfive.verify.mutants --log docs/mutants.log

coverage: .venv/test.stamp ## what every bench exercises of the Verilog: blocks, bits; docs/coverage.log; ten minutes
	$(BIN)/python -m fivebyfive.verify.coverage --log docs/coverage.log

fuzz: .venv/test.stamp ## two million inputs to everything that reads from outside; docs/fuzz.log; most of an hour
	$(BIN)/python tests/fuzz/run.py 1000000 1 docs/fuzz.log 100000

readings: .venv/test.stamp ## train fifty networks of readings drawn at random, and read them again; docs/readings.log; an hour
	$(BIN)/python tests/readings/run.py 50 1 docs/readings.log

networks: .venv/test.stamp ## build, train, read, quantize and simulate forty public networks; docs/networks.md; some hours, once
	$(BIN)/python tests/networks/run.py --page docs/networks.md

faults: .venv/test.stamp ## kill each long job 100 times, and start it again; docs/faults.log; about an hour
	@tools/apt-install iverilog iverilog "simulate is killed on Icarus Verilog too"
	$(BIN)/python tests/faults/run.py 100 1 docs/faults.log

train: .venv/test.stamp ## train the LeNet from nothing into build/lenet.npz; a quarter of an hour on one core
	$(FIVEBYFIVE) train --ink 1 --epochs 48 --out build/base.npz
	$(FIVEBYFIVE) compress tune build/base.npz --seed 2 --epochs 6 --learning-rate 3e-4 --warp 1.25 --ink 1 --flags 0.1 \
	  --out build/lenet.npz

bench: .venv/test.stamp ## measure all sizes beside other projects; docs/performance.md; an hour or two, once
	$(BIN)/python -m fivebyfive.verify.bench
	$(BIN)/python -m fivebyfive.verify.figures record docs/performance.md

compressed: .venv/test.stamp ## the compressed checkpoints side by side, 200 images each; docs/compressed; half an hour
	$(FIVEBYFIVE) compare model/checkpoints/*.npz --rtl-images 200 --force --out docs/compressed
	$(BIN)/python -m fivebyfive.verify.figures record docs/compressed/compare.json

registers: .venv/demo.stamp ## docs/registers.md, from the same description as the hardware
	$(BIN)/python -c 'from fivebyfive.hw.axi.vivado import registers_page; print(registers_page(), end="")' > docs/registers.md

status: .venv/demo.stamp ## docs/status.md: how each component is checked, from sources and logs; seconds
	$(BIN)/python -m fivebyfive.verify.status --out docs/status.md

schedule: .venv/demo.stamp ## docs/schedule.md: how near each listed network comes to the arithmetic limit; seconds
	$(BIN)/python -m fivebyfive.verify.schedule

diagrams: .venv/demo.stamp ## the block diagrams of docs/ as SVG; seconds
	$(BIN)/python tools/diagrams.py

docs: .venv/test.stamp ## the pages of docs/ as a site in build/docs, which needs no network; a quarter of a minute
	$(BIN)/python -m sphinx $(SPHINX) -d build/docs-doctrees docs build/docs
	@echo "open build/docs/index.html"

picture: demo ## the picture of `make demo` as docs/demo.png
	cp build/demo.png docs/demo.png

pictures: .venv/test.stamp ## the pictures of docs/tutorial.md, and the page as a notebook; two minutes
	$(BIN)/python tools/tutorial.py

studio-pictures: .venv/test.stamp ## the pictures of docs/studio.md, from the page in Chromium; a minute
	@tools/apt-install chromium chromium "the page of fivebyfive studio is drawn in it"
	$(PYTEST) tests/studio/test_pictures.py -m "" --pictures docs/pictures

# Quick ones first. Without train: see fivebyfive/verify/figures.py, which knows what each page was measured on.
FIGURES := picture registers schedule studio-speed coverage verify-axi verify-netlist verify-sizes verify-100-20 verify-all compressed bench \
  mutants fuzz faults status

figures: .venv/test.stamp ## every page that holds figures, measured again, one after the other; about seven hours
	@set -e; for target in $(FIGURES); do $(MAKE) --no-print-directory $$target; done

fit-area: .venv/test.stamp ## synthesize some machines and fit the area model to them; model/estimates/area.json; about an hour
	$(BIN)/python -m fivebyfive.sim.jobs.fit_area

bitstream: .venv/test.stamp ## the shipped LeNet as a bitstream for ULX3S-85F, in build/ulx3s-85f; ten minutes
	$(FIVEBYFIVE) build --board ulx3s-85f

wheel-test: .venv/test.stamp ## build a wheel, install it into an empty environment, use it from another folder
	$(PYTEST) tests/test_wheel.py

clean: ## remove all that was generated; keeps .venv
	rm -rf build .setuptools .pytest_cache .hypothesis .ruff_cache .mypy_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/demo.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tools/apt-install "" python3-venv "Python makes .venv with it"
	@case "$$PWD" in *[:$$]*) echo "Python and pip cannot install in a folder with : or $$ in its path:" >&2; \
	  printf '%s\n' "$$PWD" "move it, or rename that folder" >&2; exit 2;; esac
	@echo "installing into .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --editable .
	@touch $@

.venv/test.stamp: .venv/demo.stamp
	@echo "installing what training and tests need into .venv ..."
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --editable '.[train,test]'
	@touch $@
