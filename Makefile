# make demo: export spit_b16 in fp16 and run it on a photograph.   make test: all tests.
# Both make .venv and install what they need.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
CPP    := $(wildcard $(foreach folder,plugins/kernels plugins/kernels/* plugins/native plugins/tensorrt tests/plugins/native tests/plugins/tensorrt,$(folder)/*.[ch]pp $(folder)/*.cu $(folder)/*.cuh $(folder)/*.h))
NATIVE := CMakeLists.txt plugins/CMakeLists.txt plugins/generate.py spit_edge/base/contracts.py $(wildcard plugins/kernels/*.h* plugins/kernels/*/*.hpp plugins/native/*.[ch]pp)
# Where there is no browser, npm has one, for x86-64 alone.
have    = $(firstword $(foreach name,$(1),$(shell command -v $(name))))
BROWSER := $(if $(call have,chromium chromium-browser google-chrome chrome),,$(if $(filter x86_64,$(shell uname -m)),$(if $(call have,npm),build/browser/chromium)))

.PHONY: demo test test-oldest test-gpu test-models test-slow sanitize fuzz test-arm64 test-deploy test-deploy-arm64 lint docs wheel wheels clean

# Rebuilt when what is installed changes; the stamp is written last, so a broken install is redone.
$(VENV)/installed: pyproject.toml constraints.txt $(NATIVE)
	test -x $(PY) || $(PYTHON) -m venv $(if $(wildcard /etc/nv_tegra_release),--system-site-packages) $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(PY) -m pip install --quiet --constraint constraints.txt --no-deps kernel-lens
	touch $@

demo: $(VENV)/installed
	$(PY) -m export build --model spit_b16 --fp16 > build-path.tmp || { rm -f build-path.tmp; exit 1; }
	$(PY) -m runtime run "$$(cat build-path.tmp)" runtime/photos/chelsea.jpg --overlay demo.png; \
	  status=$$?; rm -f build-path.tmp; exit $$status

# Tests are spread over the processes as these get through them.
test: $(VENV)/installed lint $(BROWSER)
	$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

# For the tests that look at pages, where npm can bring a browser and there is none.
build/browser/chromium: tests/export/report/browser.sh
	$< || echo 'no browser from npm: the tests that need one are left out'

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $(CPP)
	mkdir -p build/mypy/spit_edge
	ln -sfn $(addprefix ../../../,$(wildcard spit_edge/*.py)) ../../../spit_edge/py.typed ../../../spit_edge/base \
	  ../../../export ../../../plugins ../../../runtime ../../../spit_ref build/mypy/spit_edge/
	$(VENV)/bin/mypy

# The fast tests with the oldest packages that pyproject.toml allows, in an environment of their own.
OLDEST := build/oldest-venv
test-oldest: $(VENV)/installed
	test -x $(OLDEST)/bin/python || $(PY) -m venv $(OLDEST)
	$(PY) tests/lower_bounds.py > build/oldest-versions.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint build/oldest-versions.txt \
	  --editable '.[export,openvino]' pytest hypothesis scipy
	$(OLDEST)/bin/python -m pip check
	$(OLDEST)/bin/python -m pytest tests/base tests/spit_ref \
	  tests/runtime/bundle tests/runtime/images tests/runtime/parity
	$(OLDEST)/bin/python -m export build --model spit_tiny --fp16 --weights random --out build/oldest
	$(OLDEST)/bin/python -m export validate build/oldest-random --report build/oldest.html
	$(OLDEST)/bin/python -m export validate build/oldest-random --backend openvino

# What needs a GPU; TensorRT comes with JetPack, elsewhere from PyPI. Skips nothing for want of one.
test-gpu: $(VENV)/installed
	$(PY) -c "import tensorrt" 2>/dev/null || $(PY) -m pip install --quiet 'tensorrt>=10.0'
	SPIT_GPU=required $(PY) -m pytest -rA -m gpu tests/gpu

# Every model, with and without gradient features, at a square and another size: up to half an hour.
test-models: $(VENV)/installed
	$(PY) -m pytest -rA --override-ini addopts="" -m "slow or not slow" tests/export/test_models.py

# What make test leaves out of the rest: large images, all CUDA architectures, README as it is.
test-slow: $(VENV)/installed
	$(PY) -m pytest -m slow --ignore tests/export/test_models.py --ignore tests/export/deploy

# The native ops under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.
sanitize: $(VENV)/installed
	PYTHON=$(PY) tests/plugins/native/sanitize.sh

# The native ops with random arguments, ten minutes.
fuzz: $(VENV)/installed
	SPIT_FUZZ_SECONDS=200 $(PY) -m pytest -rP tests/plugins/native/test_native_fuzz.py

# The native ops for arm64, under qemu; needs a cross compiler.
test-arm64: $(VENV)/installed
	PYTHON=$(PY) tests/plugins/native/arm64.sh

# Deployment over ssh to this machine: OpenSSH's server where there is one, else one in Python.
test-deploy: $(VENV)/installed
	$(PY) -m pytest -rA -m "slow or not slow" --ignore tests/export/deploy/test_arm64.py tests/export/deploy

# The same to an arm64 machine under qemu; root, debootstrap, qemu-user-static. Half an hour at first.
test-deploy-arm64: $(VENV)/installed
	$(PY) -m pytest -rA -m slow tests/export/deploy/test_arm64.py

# Docs and an API reference as a site, build/site/index.html. Takes no network.
docs: $(VENV)/installed
	$(PY) -m sphinx --quiet --fail-on-warning --keep-going --doctree-dir build/doctrees docs build/site

# A wheel for this machine and its Python, in build/wheels.
wheel: $(VENV)/installed
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir build/wheels .

# Wheels for this machine and Python 3.10 to 3.13, in build/wheels; needs Docker or Podman.
wheels: $(VENV)/installed
	$(PY) -m pip install --quiet 'cibuildwheel>=3'
	$(PY) -m cibuildwheel --output-dir build/wheels

clean:
	rm -rf $(VENV) build dist demo.png *.egg-info .pytest_cache .mypy_cache .ruff_cache
