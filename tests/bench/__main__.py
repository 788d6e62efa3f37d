"""All the measurements: many organisations against few, a journey, and more processes."""

from tests.bench import journey, many, scale

for each in (many, journey, scale):
    each.main()
    print()
