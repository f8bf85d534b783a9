from django.db import migrations, models

from sync.core.register import Row


def find_undecided(apps, schema_editor):
    """Mark the rows that live though a deletion stands which no write has named."""
    Register = apps.get_model("sync", "Register")
    alive = Register.objects.filter(alive=True).values_list("key", "state")
    found = [key for key, state in alive.iterator() if Row.decode(bytes(state)).unanswered()]
    for start in range(0, len(found), 500):
        Register.objects.filter(key__in=found[start : start + 500]).update(undecided=True)


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0004_what_forms_have_written"),
    ]

    operations = [
        migrations.AddField(
            model_name="register",
            name="undecided",
            field=models.BooleanField(default=False, help_text="it lives, and a deletion stands that no write has named"),
        ),
        migrations.AddIndex(
            model_name="register",
            index=models.Index(condition=models.Q(("undecided", True)), fields=["key"], name="register_undecided"),
        ),
        migrations.RunPython(find_undecided, migrations.RunPython.noop),
    ]
