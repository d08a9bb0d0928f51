"""A list of what the image is built from (SBOM), in CycloneDX's JSON, from its lock file.

    python -m tools.sbom [LOCK] > sbom.cdx.json

It lists Python's packages alone: the base image and the images of Postgres, Redis and nginx bring their own.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.locks import PROJECT, ROOT, RUNTIME, Pin, read_lock


def sbom(lock: Path) -> str:
    """The document; two of the same lock differ by their time alone."""
    pins = read_lock(lock)
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, lock.read_text()))
    project = Component(name=PROJECT, type=ComponentType.APPLICATION, bom_ref=PROJECT)
    bom.metadata.component = project
    components: dict[str, list[Component]] = defaultdict(list)
    for pin in pins:
        components[pin.name].append(_component(pin))
    needs: dict[str, set[Component]] = defaultdict(set)
    for pin in pins:
        # What asked for it may be left out of the lock: then the image as a whole has it.
        for name in [one for one in pin.needed_by if one in components] or [PROJECT]:
            needs[name].update(components[pin.name])
        if PROJECT in pin.needed_by:
            needs[PROJECT].update(components[pin.name])
    for name, of_name in components.items():
        for component in of_name:
            bom.components.add(component)
            bom.register_dependency(component, needs[name])
    bom.register_dependency(project, needs[PROJECT])
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _component(pin: Pin) -> Component:
    return Component(
        name=pin.name,
        version=pin.version,
        purl=PackageURL("pypi", None, pin.name, pin.version),
        bom_ref=f"{pin.name}=={pin.version}",
        properties=[Property(name="marker", value=pin.marker)] if pin.marker else [],
    )


if __name__ == "__main__":
    sys.stdout.write(sbom(ROOT / sys.argv[1] if sys.argv[1:] else RUNTIME) + "\n")
