"""Release 1."""

from django.db import migrations, models

import sync.fields


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Plant",
            fields=[
                (
                    "token",
                    sync.fields.TokenField(default=sync.fields.new_token, max_length=64, primary_key=True, serialize=False),
                ),
                ("title", models.CharField(max_length=100)),
                ("tags", sync.fields.SetField(default=list)),
                ("colour", models.CharField(blank=True, max_length=40)),
                ("notes", models.TextField(blank=True)),
            ],
        )
    ]
