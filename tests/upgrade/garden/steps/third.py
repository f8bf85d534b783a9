"""Release 3: a field has another name, another one is gone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("garden", "0002_second")]
    operations = [
        migrations.RenameField("plant", "colour", "hue"),
        migrations.RemoveField("plant", "notes"),
    ]
