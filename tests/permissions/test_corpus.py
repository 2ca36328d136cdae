"""The judgement on every line of the corpus, and on more of each kind."""

import json
from pathlib import Path
from typing import cast

import pytest

from backend_coordinator.nodes.permissions.bash import judge_bash
from tests.support.seed_003 import RULES, WITH_DENIALS, orders

CORPUS = Path(__file__).parents[1] / "corpora" / "permission_corpus.jsonl"
ROWS = [json.loads(row) for row in CORPUS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[cast(str, row["id"]) for row in ROWS])
def test_every_row_is_judged_as_accepted_whatever_the_order_of_the_rules(row: dict[str, object]) -> None:
    rules = WITH_DENIALS if row["profile"] == "003+deny" else RULES
    rulings = {judge_bash(cast(str, row["command"]), each) for each in orders(rules)}
    assert len(rulings) == 1
    (ruling,) = rulings
    assert ruling.decision in cast(list[str], row["accept"]), ruling.reason
    assert ruling.decision not in cast(list[str], row["never"])


# In the tables ⏎ stands for a new line and ⇥ for a tab.
ALLOW = r"""
git commit -m "fix: don't split on \`"
git log;#
git status; git diff --stat; git log -1
git fetch origin&&git log origin/main..HEAD
npm ci && npm run build | npx tsc; npm test || npm run report
{ npm ci; npm test; } 2>&1
( git status; ( npm test ) ) >/dev/null 2>&1 &
! (git diff --quiet) # nothing changed; rm x
NODE_ENV=test CI=1 npm test -- --runInBand
DEBUG=app:* npm test
GIT_TERMINAL_PROMPT=0 git fetch
PORT=3000 node server.js >/dev/null 2>&1 &
git log --grep="fix$" --format="%h %s"
git commit -m 'a; rm x' -m "b && \$HOME is \`pwd\` | $"
git commit -m "line one⏎⏎- line two (with brackets) & more"
git commit -m "feat: größer, 日本語, 🎉 ⚠️"
git add src/*.ts test/unit/[a-z]*.ts ./*.md
git stash drop stash@{0}
git show HEAD@{1}:src/app.ts
git log HEAD~3..HEAD^ -- src
git grep -n 'a\|b' -- '*.py' "src/**"
git commit -m wow! -m "wow!!"
git commit -m it\'s\ fine\;\ rm\ x
npx prettier --check "src/**/*.{ts,tsx}"
docker run --rm -e A=b alpine:3 ls
git \⏎  status \⏎  --short
git add . &&⏎  npm test⏎
⏎git status⏎⏎⏎git log
npm test </dev/null &>/dev/null
npm test 1>/dev/null 2>>/dev/null
npx jest tests/a.test.ts -t 'a > b'
git diff a=b c:d #x
git log --author=a@b.c --since=2.weeks --date=format:%Y/%m
docker ps --filter status=running --format '{{.Names}}'
git rev-parse @{u}
git diff HEAD@{1}..HEAD@{0}
docker ps --format {{.Names}}
git diff -- :!package-lock.json
"git" 'status'
gi\t status
"""
ASK = r"""
# git status; rm x
ls
git status; ls
git status && ls || git log
git status & ls
git status | cat
(git status; ls)
{ git status; ls; }
! ls
git log > f
git log >f 2>&1
git log >> /dev/null/../x
git log >/dev/nullx
git log >&f
git log >& /tmp/f
git log 3<>f
git log <<< x
git log 2>&1x
git log >'/dev/null'x
git log 12>/dev/null
git log {x}>/dev/null
git log $X
git log "$X"
git log $'x'
git log $"x"
git log "$(id)"
git log `id`
git log <(id)
git log >(id)
git log $((1+1))
git log *
git log -*
git add src/.*/.*
git * x/*
git add --x/*
*/git status
./git* status
[ -f x ] && git status
[[ -f x ]] && git status
(( x )) && git status
((git status))
git log {a,b}
git log {1..3}
git log {{a},b}
git log a{b,c}d
git log {a{b},c}
git log {a.{b}..c}
git log {{,}}
git log ~
git log ~/x
git log --x=~/y
git log a:~
A=~ git status
A=b
A=b; git status
A+=b git status
A[0]=b git status
A=(b) git status
PATH=. git status
LD_PRELOAD=./x git status
GIT_SSH_COMMAND=id git fetch
>/dev/null
> /dev/null git status; >/dev/null
git status;; git log
git status; ; git log
; git status
git status &&
&& git status
git status |
git status && ; git log
git status && # git log
()
( )
(git status
git status)
{ git status }
{ git status;
git status; }
(git status) x
git status (x)
git() { id; }; git status
function git { id; }
if git status; then git log; fi
while git status; do git log; done
until git status; do git log; done
for x in a; do git log; done
case x in x) git log;; esac
select x in a; do git log; done
time git status
coproc git status
! time git status
then git status
'if' git status
'' git status
git 'status
git "status
git status \
git status \\\
!! status
!git status
%1
"git status"
git\ status
git=status
$'git' status
${x:-git} status
eval git status
exec git status
command git status
builtin git status
source x
. x
alias git=id
shopt -s extglob
set -x
env git status
xargs git status
timeout 5 git status
bash -c 'git status'
/usr/bin/git status
./git status
bin/npm test
git\status2
gi't'x status
git status⏎ls
git status \⏎&& ls
git!(x) status
git !(x)
git @(a|b)
"""
DENY = r"""
rm x
rm
/bin/rm x
../rm x
rm x & git status
git status; rm x
git status &&rm x
git status||rm x
git status|rm x
(git status;(rm x))
! rm x
'rm' x
"rm" x
r''m x
r"m" x
\rm x
r\m x
rm>/dev/null x
>/dev/null rm x
2>&1 rm x
>f rm x
<f rm x
{fd}>f rm x
A=b rm x
A=b C='d e' rm x $X
A=$B rm x
A+=b rm x
A[1]=b rm x
$'rm' x
$'\x72\x6d' x
$'\162m' x
$'\u0072m' x
$'\U00000072m' x
$"rm" x
r$'m' x
r$@m x
r${x}m x
$x rm x
git log $(rm x)
git log "$(rm x)"
git log "a $(git log "b $(rm x)")"
git log `rm x`
git log "`rm x`"
git log `git log \`rm x\``
git log $( (rm x) )
git log $(git log | rm x)
git log <(rm x)
git log >(rm x)
git log > >(rm x)
git log ${x:-$(rm x)}
git log ${x/$(rm x)/y}
git log $((1+$(rm x)))
git log $[$(rm x)]
A=$(rm x) git log
A=(a $(rm x))
a=rm; $a x
a=rm b=x; "$a" $b
a=r; a+=m; ${a} x
a='rm x'; $a
a=r b=m; $a$b x
a=rm; b=$a; $b x
for c in rm; do $c x; done
${x:-rm} x
rm$IFS-rf${IFS}x
git${IFS}push
{rm,-rf,x}
f() { rm x; }; f
f () (rm x)
function f { rm x; }
function f () { rm x; }
if rm x; then git log; fi
if git log; then rm x; fi
if git log; then git log; else rm x; fi
if git log; then git log; elif rm x; then git log; fi
while rm x; do git log; done
while git log; do rm x; done
until ! rm x; do git log; done
for x in a; do rm x; done
for ((;;)); do rm x; done
select x in a; do rm x; done
case x in x) rm x;; esac
case x in (x) rm x;; esac
case $(rm x) in x) ;; esac
[[ -n $(rm x) ]]
(( a[$(rm x)] ))
time rm x
time -p rm x
! time rm x
coproc rm x
coproc f { rm x; }
{ rm x; } > f
(rm x) | git log > f
{ ! rm x
git log 'open; rm x
git log "open $(rm x)
git status (; rm x
git log ~; rm x
git log *; rm x
git log # don't⏎rm x $X
git log # it's; curl x⏎$X
git log \⏎  && rm x; $X
r\⏎m x $X
git log # \⏎rm x $X
git log \\⏎rm x $X
git \⏎ push $X
git commit -F - <<E⏎a $(rm x)⏎E
cat <<E⏎a `rm x`⏎E
bash <<'E'⏎rm x⏎E
bash -s <<-E⏎⇥rm x⏎E
bash <<< 'rm x'
bash <<<"git push"
sh<<<rm
cat <<E | sh⏎rm x⏎E
curl -s x | sh
git push
git push origin main
git --no-pager push
git -C . push $X
git  push⇥origin
"git" 'push'
git p''ush
git > /dev/null push
git 2>&1 push
git $'push'
/usr/bin/git push
$(git push)
npm publish
npm publish --tag x | git log
npm --silent publish
A=1 npm publish
sudo rm x
sudo -u x rm x
env rm x
env -i A=b rm x
env -S 'rm x'
nohup rm x &
nice -n 5 rm x
timeout -s KILL 5 rm x
xargs rm
xargs -0 -n1 rm < f
find . -exec rm {} \;
find . -exec rm {} +
bash -c 'rm x'
bash -lc "git status && rm x"
sh -c 'sh -c "rm x"'
sh -c "sh -c \"rm x\"" $X
eval 'rm x'
eval rm x
exec rm x
command rm x
builtin command rm x
trap 'rm x' EXIT
watch rm x
setsid -f rm x
stdbuf -oL rm x
flock f rm x
flock f -c 'rm x'
nohup env nice timeout 5 sudo xargs setsid rm x
git log | xargs rm
git log > f; bash -c "rm x"
$X; bash -c "a; rm x"
$X; nohup /bin/rm x
"""


def rows(table: str) -> list[str]:
    return [line.replace("⏎", "\n").replace("⇥", "\t") for line in table.strip("\n").split("\n")]


@pytest.mark.parametrize("line", rows(ALLOW))
def test_a_line_that_runs_allowed_programs_alone_is_allowed(line: str) -> None:
    assert {judge_bash(line, rules) for rules in orders(WITH_DENIALS)} == {judge_bash(line, WITH_DENIALS)}
    assert judge_bash(line, WITH_DENIALS).decision == "allow", judge_bash(line, WITH_DENIALS).reason


@pytest.mark.parametrize("line", rows(ASK))
def test_a_line_that_may_run_anything_else_is_asked_about(line: str) -> None:
    assert judge_bash(line, RULES).decision == "ask"


@pytest.mark.parametrize("line", rows(DENY))
def test_a_denied_command_is_denied_wherever_it_stands(line: str) -> None:
    assert judge_bash(line, WITH_DENIALS).decision == "deny", judge_bash(line, WITH_DENIALS).reason
    assert judge_bash(f"git status; {line}", WITH_DENIALS).decision == "deny"
