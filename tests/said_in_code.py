"""Every message, hint and warning of the code that a reader may see, found by reading the code.

A text is written down where it is said, or comes there by a constant, a local name, an argument or what
another function returns. `{}` stands for a value.
"""

import ast
import builtins
import functools
import re
from pathlib import Path

import dermaxai

PACKAGE = Path(dermaxai.__file__).parent
COMMAND_LINE = (
    "bulk.py", "cli.py", "client/*", "commands/*", "data/*", "data/readers/*", "embedded/*", "evaluate/*",
    "features/*", "figures.py", "geometry.py", "i18n.py", "phantom/*", "study/*", "training/*",
    "concepts/wordnet.py", "encoders/activation.py", "measure/captions/*", "measure/columns.py",
    "measure/estimates.py",
)  # fmt: skip
"""What no page, report or worker comes by: the command line and Python tell its errors."""
SAYING = {
    "answer_refusal": ((2, 3), ()),
    "_state": ((), ("message",)),
    "append": ((0,), ()),
    "skip_rest": ((0,), ()),
    "Places": ((), ("what",)),
    "Support": ((1,), ("why",)),
    "too_fast": ((0,), ()),
    "warn": ((0,), ()),
}
"""By name of what is called, beside the errors: the arguments that readers see."""
NOTING = ("colour.py", "dicom.py", "images.py", "case_scores.py")
"""Where `notes.append` makes a note on a photo or a warning of a case."""
NOTERS = ("_compare_suffix", "_header_notes", "_notes")
"""Functions that yield notes on a photo."""
DEEPEST = 4


def is_seen(file):
    return not any(file.relative_to(PACKAGE).match(pattern) for pattern in COMMAND_LINE)


@functools.cache
def trees():
    """Every file of the package with its tree, whose nodes know the node above them."""
    found = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))}
    for tree in found.values():
        for node in ast.walk(tree):
            for below in ast.iter_child_nodes(node):
                below.above = node
    return found


@functools.cache
def error_names():
    return {node.name for node in trees()[PACKAGE / "errors.py"].body if isinstance(node, ast.ClassDef)}


@functools.cache
def constants():
    """Module constants of the package by name."""
    return {
        target.id: (file, node.value)
        for file, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


@functools.cache
def calls():
    """Calls in the files that readers come by, by the name of what is called."""
    found = {}
    for file, tree in trees().items():
        for node in ast.walk(tree) if is_seen(file) else ():
            if isinstance(node, ast.Call):
                found.setdefault(name_of(node.func), []).append((file, node))
    return found


def name_of(node):
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def function_around(node):
    while node is not None and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node = getattr(node, "above", None)
    return node


def function_in(file, name):
    return next((one for one in trees()[file].body if getattr(one, "name", "") == name), None)


def said_texts():
    """(file, line, text) of everything that is said where readers see it, with `{}` for values."""
    for file, node in said_nodes():
        for text in texts(file, node):
            if text:
                yield file.relative_to(PACKAGE).as_posix(), node.lineno, text


def said_phrases():
    """The same for the values inside of messages, where they are words of the code themselves."""
    for file, node in said_nodes():
        for text, own, place in parts(file, node, 0):
            if is_seen(own) and re.search("[A-Za-z]+ [A-Za-z]", text):
                yield own.relative_to(PACKAGE).as_posix(), place.lineno, text


def unread():
    """(file, expression) of what is said in a way that cannot be read."""
    lost = []
    for file, node in said_nodes():
        texts(file, node, lost)
    return lost


def every_text():
    """All texts of the package, whatever they are for."""
    return {
        text
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for text in texts(file, node, [])
    }


def said_nodes():
    for file, tree in trees().items():
        for node in ast.walk(tree) if is_seen(file) else ():
            if isinstance(node, ast.Call):
                yield from ((file, one) for one in arguments(file, node))
                given = [one.value for one in node.keywords if one.arg == "warnings"]
                yield from (found for one in given for found in warnings_in(file, one))
            elif isinstance(node, ast.Yield) and file.name in NOTING:
                yield from [(file, node.value)] if function_around(node).name in NOTERS else ()
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                yield from (
                    (file, value) for key, value in pairs if getattr(key, "value", "") in ("message", "hint")
                )


def arguments(file, call):
    """The arguments of a call that readers see; `append` to anything but notes says nothing."""
    name = name_of(call.func)
    numbers, names = ((0,), ("hint",)) if name in error_names() else SAYING.get(name, ((), ()))
    notes = file.name in NOTING and ast.unparse(call.func).endswith("notes.append")
    if name == "append" and not notes:
        return []
    named = [given.value for given in call.keywords if given.arg in names]
    return [call.args[number] for number in numbers if number < len(call.args)] + named


def warnings_in(file, node, depth=0):
    """The sentences among what becomes the warnings of a case; those it had are found where they are made."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield file, node
    if isinstance(node, ast.JoinedStr | ast.Attribute) or depth > 2 * DEEPEST:
        return
    below = list(where_from(file, node)) if isinstance(node, ast.Name | ast.Call) else []
    for own, one in below or [(file, child) for child in ast.iter_child_nodes(node)]:
        yield from warnings_in(own, one, depth + 1)


def texts(file, node, lost=None):
    """What an expression says in each of its forms."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return joined(node)
    if isinstance(node, ast.IfExp):
        return texts(file, node.body, lost) + texts(file, node.orelse, lost)
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in texts(file, value, lost)]
    origins = list(where_from(file, node))
    if not origins and lost is not None:
        lost.append((file.relative_to(PACKAGE).as_posix(), ast.unparse(node)))
    return [text for own, origin in origins for text in texts(own, origin, lost)]


def joined(node):
    """An f-string with `{}` for its values; where one is a choice of two words, both."""
    forms = [""]
    for part in node.values:
        words = ["{}"]
        if isinstance(part, ast.Constant):
            words = [part.value]
        elif isinstance(part.value, ast.IfExp):
            choice = (part.value.body, part.value.orelse)
            if all(isinstance(one, ast.Constant) for one in choice):
                words = [one.value for one in choice]
        forms = [form + word for form in forms for word in words]
    return forms


def where_from(file, node):
    """The expressions that a name or a call of the same file stands for."""
    around = function_around(node)
    if isinstance(node, ast.Name) and around is not None:
        assigned = [one for one in ast.walk(around) if isinstance(one, ast.Assign)]
        own = [one.value for one in assigned if node.id in map(name_of, one.targets)]
        if own:
            yield from ((file, value) for value in own)
            return
    if isinstance(node, ast.Name | ast.Attribute) and name_of(node) in constants():
        yield constants()[name_of(node)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        function = function_in(file, node.func.id)
        for one in ast.walk(function) if function is not None else ():
            if isinstance(one, ast.Return) and one.value is not None:
                yield file, one.value


def parts(file, node, depth):
    """The texts that an expression, and the values inside of it, may be."""
    if depth > DEEPEST or hasattr(builtins, name_of(node)):
        return
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield from ((text, file, node) for text in texts(file, node))
    if isinstance(node, ast.JoinedStr):
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                yield from parts(file, one.value, depth + 1)
    if isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from parts(file, one, depth + 1)
    if isinstance(node, ast.IfExp):
        yield from parts(file, node.body, depth)
        yield from parts(file, node.orelse, depth)
    for own, origin in (*where_from(file, node), *handed_in(file, node)):
        yield from parts(own, origin, depth + 1)


def handed_in(file, node):
    """What the callers of the function around give for the argument `node`; private functions have theirs
    in their own file.
    """
    around = function_around(node)
    if not isinstance(node, ast.Name) or around is None:
        return
    names = [one.arg for one in (*around.args.posonlyargs, *around.args.args) if one.arg != "self"]
    if node.id not in [*names, *(one.arg for one in around.args.kwonlyargs)]:
        return
    for own, call in calls().get(around.name, ()):
        if own != file and around.name.startswith("_"):
            continue
        given = [one.value for one in call.keywords if one.arg == node.id]
        if node.id in names and names.index(node.id) < len(call.args):
            given.append(call.args[names.index(node.id)])
        yield from ((own, value) for value in given)
