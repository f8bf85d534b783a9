"""Release 2: a column with a default, one that must not be empty and has none, a model."""

import django.db.models.deletion
from django.db import migrations, models

import sync.fields


class Migration(migrations.Migration):
    dependencies = [("garden", "0001_first")]
    operations = [
        migrations.AddField("plant", "height", models.IntegerField(default=7)),
        migrations.AddField("plant", "soil", models.CharField(default="unknown", max_length=40), preserve_default=False),
        migrations.CreateModel(
            name="Bed",
            fields=[
                (
                    "token",
                    sync.fields.TokenField(default=sync.fields.new_token, max_length=64, primary_key=True, serialize=False),
                ),
                ("title", models.CharField(max_length=100)),
                (
                    "plant",
                    sync.fields.ReferenceField(
                        db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to="garden.plant"
                    ),
                ),
            ],
        ),
    ]
