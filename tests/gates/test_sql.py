"""Which SQL is injected, which is built from constants, and which cannot be told."""

import ast

import pytest

from backend_coordinator.nodes.gates.sqltext import Program, Taint

INJECTED = {
    "f-string": "def f(db, n):\n    db.execute(f\"SELECT * FROM a WHERE n = '{n}'\")",
    "f-string number": "def f(db, n):\n    db.execute(f'DELETE FROM a WHERE id = {n}')",
    "percent": "def f(db, n):\n    db.execute(\"SELECT * FROM a WHERE n = '%s'\" % n)",
    "percent tuple": "def f(db, n, m):\n    db.execute('UPDATE a SET x = %s WHERE n = %s' % (n, m))",
    "format": "def f(db, n):\n    db.execute('SELECT * FROM a WHERE n = {}'.format(n))",
    "plus": 'def f(db, n):\n    db.execute("SELECT * FROM a WHERE n = \'" + n + "\'")',
    "variable": "def f(db, n):\n    q = f'SELECT * FROM a WHERE n = {n}'\n    db.execute(q)",
    "added later": "def f(db, n):\n    q = 'SELECT * FROM a'\n    q += f' WHERE n = {n}'\n    db.execute(q)",
    "text()": "def f(s, n):\n    s.execute(text(f'SELECT * FROM a WHERE n = {n}'))",
    "raw()": "def f(n):\n    return A.objects.raw(f\"SELECT * FROM a WHERE n = '{n}'\")",
    "like": "def f(db, n):\n    db.execute(f\"SELECT * FROM a WHERE n LIKE '%{n}%'\")",
    "in": "def f(db, ids):\n    db.execute(f\"SELECT * FROM a WHERE id IN ({','.join(ids)})\")",
    "values": 'def f(db, n):\n    db.execute(f"INSERT INTO a (x, y) VALUES (1, {n})")',
    "limit": "def f(db, request):\n    db.execute(f'SELECT * FROM a LIMIT {request.args[0]}')",
    "wrapper": ("def q(db, sql):\n    return db.execute(sql)\ndef f(db, n):\n    q(db, f'SELECT 1 WHERE n = {n}')"),
    "helper": "def where(n):\n    return f'SELECT 1 WHERE n = {n}'\ndef f(db, n):\n    db.execute(where(n))",
    "executemany": "def f(db, n):\n    db.executemany(f\"INSERT INTO a VALUES ('{n}', ?)\", [])",
    "route": "@app.get('/a')\ndef f(n: str):\n    db.execute(f\"SELECT * FROM a WHERE n = '{n}'\")",
}
CONSTANT = {
    "literal": "def f(db, n):\n    db.execute('SELECT * FROM a WHERE n = ?', (n,))",
    "joined columns": "C = ('a', 'b')\ndef f(db):\n    db.execute(f\"SELECT {', '.join(C)} FROM a\")",
    "placeholders": (
        "def f(db, ids):\n    m = ','.join('?' for _ in ids)\n    db.execute(f'SELECT 1 WHERE id IN ({m})', ids)"
    ),
    "placeholders by product": (
        "def f(db, ids):\n    db.execute(f\"DELETE FROM a WHERE id IN ({','.join('?' * len(ids))})\")"
    ),
    "table constant": "T = 'books'\ndef f(db):\n    db.execute(f'SELECT * FROM {T} WHERE id = ?', (1,))",
    "filtered columns": (
        "C = ('a', 'b')\ndef f(db, data):\n    s = ', '.join(f'{c} = ?' for c in C if c in data)\n"
        "    db.execute(f'UPDATE t SET {s} WHERE id = ?')"
    ),
    "conditional": (
        "def f(db, up):\n    order = 'ASC' if up else 'DESC'\n    db.execute('SELECT 1 ORDER BY a ' + order)"
    ),
    "clauses": (
        "def f(db, a):\n    w = []\n    if a:\n        w.append('a = ?')\n"
        "    db.execute('SELECT 1 WHERE ' + ' AND '.join(w))"
    ),
    "parameter from constants": (
        "def count(db, table):\n    return db.execute(f'SELECT count(*) FROM {table}')\n"
        "def f(db):\n    count(db, 'books')\n    count(db, table='authors')"
    ),
    "field of constants": (
        "@dataclass\nclass R:\n    table: str\n    columns: tuple[str, ...]\nBOOKS = R('books', columns=('a', 'b'))\n"
        "def f(db, r):\n    db.execute(f\"SELECT {', '.join(r.columns)} FROM {r.table}\")"
    ),
    "method with self": (
        "class Store:\n    table = 'books'\n    def f(self):\n        self.db.execute(f'SELECT * FROM {self.table}')"
    ),
    "looked up": "O = {'a': 'title ASC'}\ndef f(db, k):\n    db.execute(f'SELECT 1 ORDER BY {O[k]}')",
    "builder": "def f(s, n):\n    s.execute(select(A).where(A.n == n))",
    "own migration files": (
        "HERE = Path(__file__).parent / 'migrations'\ndef statements(script):\n    part = ''\n"
        "    for line in script.splitlines():\n        part += line\n        yield part\n"
        "def f(db, name):\n    for s in statements((HERE / name).read_text()):\n        db.execute(s)"
    ),
    "globbed files": (
        "def f(db):\n    for p in sorted(Path(__file__).parent.glob('*.sql')):\n        db.executescript(p.read_text())"
    ),
    "number": "def f(db, n):\n    db.execute(f'SELECT 1 LIMIT {int(n)}')",
}
UNTRACED = {
    "table parameter": "def f(db, table):\n    db.execute(f'SELECT * FROM {table}')",
    "whole text": "def f(db, sql):\n    db.execute(sql)",
    "uploaded file": "def f(db, upload):\n    db.executescript(Path(upload.name).read_text())",
    "file": "def f(db, path):\n    db.executescript(path.read_text())",
    "keys of a request": (
        "def f(db, data):\n    s = ', '.join(f'{k} = ?' for k in data)\n"
        "    db.execute(f'UPDATE t SET {s} WHERE id = ?')"
    ),
    "request model": (
        "class Q(BaseModel):\n    order: str\ndef f(db, q):\n    db.execute(f'SELECT 1 ORDER BY {q.order}')"
    ),
}


def taint(source: str) -> Taint:
    calls = list(Program({"m.py": ast.parse(source)}).sql_calls("m.py"))
    assert calls
    return max(found for _, _, found in calls)


@pytest.mark.parametrize("source", INJECTED.values(), ids=INJECTED)
def test_values_in_the_text_are_found(source: str) -> None:
    assert taint(source) is Taint.FORMATTED


@pytest.mark.parametrize("source", CONSTANT.values(), ids=CONSTANT)
def test_constants_of_the_program_are_fine(source: str) -> None:
    assert taint(source) is Taint.CONSTANT


@pytest.mark.parametrize("source", UNTRACED.values(), ids=UNTRACED)
def test_what_cannot_be_traced_is_neither(source: str) -> None:
    assert taint(source) is Taint.UNTRACED


def test_constants_are_followed_into_other_modules() -> None:
    modules = {
        "app/tables.py": "BOOKS = 'books'",
        "app/store.py": "from app.tables import BOOKS\ndef f(db):\n    db.execute(f'SELECT * FROM {BOOKS}')",
    }
    program = Program({path: ast.parse(text) for path, text in modules.items()})
    assert [found for _, _, found in program.sql_calls("app/store.py")] == [Taint.CONSTANT]


@pytest.mark.parametrize("source", ["pool.execute", "text('hello')", "executor.map(f, [1])", "raw('x')"])
def test_what_is_no_sql_is_left_alone(source: str) -> None:
    assert not list(Program({"m.py": ast.parse(source)}).sql_calls("m.py"))


def test_a_table_of_statements_is_followed_through_its_fields() -> None:
    modules = {
        "app/store.py": (
            "@dataclass\nclass Table:\n    select: str\n    filters: Mapping[str, str] = field(default_factory=dict)\n"
            "def page(db, table, wanted):\n"
            "    where = ' WHERE ' + ' AND '.join(table.filters[n] for n in wanted) if wanted else ''\n"
            "    db.execute(table.select + where, [*wanted.values()])"
        ),
        "app/books.py": "BOOKS = Table(select='SELECT 1', filters={'author': 'author = ?'})",
    }
    program = Program({path: ast.parse(text) for path, text in modules.items()})
    assert [found for _, _, found in program.sql_calls("app/store.py")] == [Taint.CONSTANT]
