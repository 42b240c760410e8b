"""The command line: every command, and how errors leave it.

Data on stdout, talk on stderr. Exit codes: 0 done, 1 failed, 2 wrong use, 3 missing files, 4 checks failed.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dermaxai.commands.concepts import concepts, concepts_mean
from dermaxai.commands.console import complain, prepare_streams, say
from dermaxai.commands.data import data
from dermaxai.commands.describing import describe
from dermaxai.commands.doctor import doctor
from dermaxai.commands.evaluating import evaluate
from dermaxai.commands.explaining import contrast, explain, query
from dermaxai.commands.extending import extend
from dermaxai.commands.features import features
from dermaxai.commands.keeping import audit, delete, readers
from dermaxai.commands.measuring import measure, sanity
from dermaxai.commands.metrics import metrics
from dermaxai.commands.models import fetch, methods, models
from dermaxai.commands.phantoms import phantom
from dermaxai.commands.reading import agreement, export
from dermaxai.commands.reporting import report
from dermaxai.commands.serving import serve
from dermaxai.commands.studying import study
from dermaxai.commands.training import train, validate
from dermaxai.commands.working import worker
from dermaxai.errors import DataError, DermaXAIError


class Commands(TyperGroup):
    """A user's mistake ends in one readable message and its exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        """Run the command. Raises: typer.Exit with the code of the error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # Whoever read the output has closed it; typer ends quietly.
        except DermaXAIError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from None
        except (OSError, UnicodeError) as error:
            complain(_as_own(error))
            raise typer.Exit(DataError.exit_code) from None


def _as_own(error: OSError | UnicodeError) -> DermaXAIError:
    """What the system said of a file or a text, as a message of this program."""
    if isinstance(error, UnicodeError):
        return DataError(f"A file or name is no valid text: {error}.", hint="Save it as UTF-8.")
    place = f"'{error.filename}' cannot be read or written: " if error.filename else ""
    return DataError(f"{place}{error.strerror or error}.", hint="Check the place and its permissions.")


app = typer.Typer(
    cls=Commands,
    help="Describes skin images in words and shows, for every word, the pixels it rests on.\n\n"
    "Research tool, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        say(version("dermaxai"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""


OF_PHOTOS = (explain, describe, query, contrast, concepts, measure, sanity, report)
OF_MODELS = (train, validate, study, methods, metrics, doctor, fetch, phantom)
for command in (*OF_PHOTOS, *OF_MODELS, extend, serve, worker, agreement, export):
    app.command()(command)
app.command()(delete)
app.command("concepts-mean")(concepts_mean)
app.add_typer(models, name="models")
app.add_typer(readers, name="readers")
app.add_typer(audit, name="audit")
app.add_typer(data, name="data")
app.add_typer(features, name="features")
app.add_typer(evaluate, name="evaluate")


def main() -> None:
    """The console script `dermaxai`."""
    prepare_streams()
    app(prog_name="dermaxai")


if __name__ == "__main__":
    main()
