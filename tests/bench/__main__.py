"""All the measurements: many organisations against few, then the responsible person's journey."""

from tests.bench import journey, many

many.main()
print()
journey.main()
