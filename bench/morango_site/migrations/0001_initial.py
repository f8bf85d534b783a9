import morango.models.fields.uuids
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Record",
            fields=[
                (
                    "id",
                    morango.models.fields.uuids.UUIDField(editable=False, max_length=32, primary_key=True, serialize=False),
                ),
                ("_morango_dirty_bit", models.BooleanField(default=True, editable=False)),
                ("_morango_source_id", models.CharField(editable=False, max_length=96)),
                ("_morango_partition", models.CharField(editable=False, max_length=128)),
                ("root", models.CharField(max_length=32)),
                ("title", models.CharField(max_length=200)),
                ("slug", models.CharField(max_length=200)),
                ("description", models.TextField()),
                ("ordering", models.IntegerField()),
            ],
            options={"abstract": False},
        ),
    ]
