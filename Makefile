# make demo: export spit_b16 in fp16 and run it on a photograph.   make test: all tests.
# Both make .venv and install what they need.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
DEMO   ?= build/demo

.PHONY: demo test test-models lint clean

# Rebuilt when what is installed changes; the stamp is written last, so a broken install is redone.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(VENV)/installed
	$(PY) -m export build --model spit_b16 --fp16 > build-path.tmp || { rm -f build-path.tmp; exit 1; }
	$(PY) -m runtime run "$$(cat build-path.tmp)" runtime/photos/chelsea.jpg --overlay demo.png; \
	  status=$$?; rm -f build-path.tmp; exit $$status

test: $(VENV)/installed lint
	$(PY) -m pytest

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Every model, with and without gradient features, at a square and another size: about 15 minutes.
test-models: $(VENV)/installed
	$(PY) -m pytest -rA --override-ini addopts="" -m "slow or not slow" tests/test_models.py

clean:
	rm -rf $(VENV) build dist demo.png *.egg-info .pytest_cache .mypy_cache .ruff_cache
