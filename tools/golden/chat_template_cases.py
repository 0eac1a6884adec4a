# SPDX-License-Identifier: Apache-2.0
"""Our own small cases for make_chat_template_golden.py: each feature of the language, and what must fail."""

MESSAGES = [{"role": "system", "content": "Be  brief."}, {"role": "user", "content": "Grüße, 世界 👋"},
            {"role": "assistant", "content": "Hi", "extra": {"n": 1, "f": 2.5, "z": None, "t": True, "l": [1, "a"]}}]

# name -> templates; each is a case.
FEATURES = {
    "white space": [
        "a\n  {% if true %}\n  b\n  {% endif %}\n c\n", "a  {%- if true -%}  b  {%- endif -%}  c", "  {%+ if true %}\nb{% endif +%}\nc",
        "{{ 1 -}}   \n  {{- 2 }}\n{{ 3 }}\n\n", "x\n  {# note #}\ny\n {#- note -#} \n z", "{% raw %}{{ x }} {% if %}{% endraw %}\nb",
        "  {%- raw -%}  {{ y }}  {%- endraw -%}  z", "a\r\nb\rc", "{{ 'a\r\nb' | length }}", "\n\n{% set x = 1 %}\n\n{{ x }}\n\n",
        "\t{% set a = 1 %} \t\n\t{% set b = 2 %}x", "{# unclosed", "{{ 1", "{% if", "x {{ '}}' }} {{ \"%}\" }} {{ {'a': {'b': 1}}['a']['b'] }}",
    ],
    "literals": [
        "{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5 }} {{ 1e3 }} {{ 2.5e-7 }} {{ 00 }}", "{{ 'a\\n\\t\\'\\\"\\\\\\x41\\u00e9\\U0001F600\\101\\q' }}",
        "{{ 'a' 'b' \"c\" }}", "{{ true }} {{ False }} {{ none }} {{ None }}", "{{ [1, 'a', 2.0, none, [true]] }}", "{{ {'a': 1, 2: 'b', none: [], 1.5: {}} }}",
        "{{ (1,) }} {{ () }} {{ (1, 2) }} {{ 1, 2 }}", "{{ \"it's\" }} {{ [\"it's\", 'say \"x\"', 'both \\' and \"'] }}", "{{ ['\\n\\t\\x00\\x7f é \\u00a0'] }}",
        "{{ 007 }}", "{{ 'abc }}", "{{ {'a': 1, 'a': 2} }}", "{{ {[]: 1} }}",
    ],
    "arithmetic": [
        "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 6 / 2 }}", "{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}",
        "{{ 1.5 + 1 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789012345680.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
        "{{ 'ab' * 3 }} {{ 2 * [1] }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' + 'b' }}", "{{ 1 ~ 'a' ~ none ~ 2.0 ~ [1] }}", "{{ true + 1 }} {{ -true }} {{ +3 }}",
        "{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ 1 + none }}", "{{ [] - [] }}", "{{ 1 + 2 * 3 - 4 ~ 5 }}", "{{ 'a' ~ 1 + 2 }}", "{{ x + 1 }}", "{{ -x }}", "{{ 10 ** 2.5 }}",
    ],
    "comparison": [
        "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }}", "{{ 'b' in 'abc' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 3 not in [1] }}",
        "{{ not true or true and false }} {{ not (1 == 2) }}", "{{ 1 or 2 }} {{ 0 or 'x' }} {{ '' and 1 }} {{ [] or {} }}", "{{ 1 < 'a' }}", "{{ 1 in 'abc' }}", "{{ 'a' in x }}", "{{ 1 in 5 }}",
        "{{ none == none }} {{ x == y }} {{ [] == () }} {{ {'a': 1} == {'a': 1.0} }}", "{{ 'yes' if 1 else 'no' }} [{{ 'yes' if 0 }}] {{ 1 if 0 else 2 if 0 else 3 }}", "{{ 2 >= 2 }} {{ 2 <= 1 }} {{ (1, 'a') == (1, 'a') }}",
    ],
    "subscripts": [
        "{{ messages[0].role }} {{ messages[-1]['role'] }} {{ messages[9] }}|{{ messages[0].nothing }}|{{ messages[0]['x'] }}", "{{ 'Grüße'[2] }} {{ 'Grüße'[1:4] }} {{ '世界👋'[::-1] }} {{ 'abc'[-2:] }} {{ 'abc'[5:] }}|{{ 'abc'[9] }}|",
        "{{ [1,2,3,4][1:3] }} {{ [1,2,3,4][::2] }} {{ [1,2,3][::-1] }} {{ [1,2,3][:-1] }} {{ (1,2,3)[1:] }} {{ [1,2,3,4,5][-1:-4:-2] }} {{ [1,2][5:1:-1] }}",
        "{{ messages[2].extra.l.1 }} {{ messages[2].extra['n'] }}", "{{ x.y }}", "{{ x['y'] }}", "{{ messages[0].a.b }}", "{{ none.a }}|{{ 1.a }}|", "{{ [1,2][::0] }}", "{{ {'items': 1}.items() }} {{ {'items': 1}['items'] }} {{ {'get': 7}.get('get') }}",
        "{{ 'abc'['upper']() }}", "{{ ''.__class__ }}", "{{ [].append(1) }}", "{{ {}.update({}) }}", "{{ range(5)[1:3] }} {{ range(3)[-1] }}",
    ],
    "statements": [
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}{{ loop.index0 }} {% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}",
        "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}={{ b }};{% endfor %}", "{% for x in [1,2,3,4] if x is even %}{{ loop.index }}:{{ x }} {% endfor %}", "{% for x in [1,2,3,4,5] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
        "{% for x in [1,2,3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.cycle('odd', 'even') }} {% endfor %}", "{% for x in [1,1,2,2] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in [1,2] %}{% for y in [1] %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{% endfor %}",
        "{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = x + 10 %}{{ x }} {% endfor %}{{ x }}", "{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "{% if false %}a{% elif 1 %}b{% else %}c{% endif %}{% if x %}d{% endif %}",
        "{% set a, b = 1, 'z' %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c + d }}", "{% set t %}  in {{ 1 + 1 }} {% endset %}[{{ t }}]", "{% set t | trim | upper %}  in  {% endset %}[{{ t }}]", "{% filter upper | replace('A', 'b') %}abc{% endfilter %}",
        "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% macro f(a, b=2, c=a) %}{{ a }},{{ b }},{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=5, a=4) }}{{ f() }}", "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) }}",
        "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro box(t) %}<{{ t }}:{{ caller() }}>{% endmacro %}{% call box('a') %}in{% endcall %}", "{% macro l(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(v) l([1,2]) %}[{{ v }}]{% endcall %}",
        "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(z=2) }}", "{% generation %}{{ messages[2].content }}{% endgeneration %}|", "{% if x is defined %}{{ 1 | nofilter }}{% endif %}ok", "{% for i in 5 %}{% endfor %}", "{% endif %}", "{% for x in [1] %}", "{% include 'x' %}",
        "{% nothing %}", "{% set x.y = 1 %}", "{% set d = {} %}{% set d.y = 1 %}", "{% for a, b in [[1,2,3]] %}{% endfor %}", "{% break %}", "{{ raise_exception('no ' ~ 1) }}", "{% for x in range(3) recursive %}{{ x }}{% endfor %}",
        "{% for x in [[1,[2]],[3]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{{ loop.depth }}{% endif %}{% endfor %}", "{% for c in 'aé👋' %}[{{ c }}]{% endfor %}", "{% for k in {'a': 1} %}{{ k }}{% endfor %}", "{% set x = 1 if false else 2 %}{{ x }}",
        "{% set x = 'a' %}{% if true %}{% set x = 'b' %}{% endif %}{{ x }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", "{% print 1, 2 %}", "{% for x in y %}a{% else %}b{% endfor %}", "{% set ns = namespace() %}{{ ns.a is defined }}{% set ns.a = [1] %}{{ ns.a }}",
        "{% for i in range(2) %}{% set outer = loop.index %}{% for j in range(2) %}{{ outer }}{{ loop.index }} {% endfor %}{% endfor %}",
    ],
    "text methods": [
        "[{{ '  a b '.strip() }}][{{ 'xxaxx'.strip('x') }}][{{ ' a'.lstrip() }}][{{ 'a\\n'.rstrip() }}][{{ 'abcab'.rstrip('ba') }}]", "{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.split(none, 1) }} {{ 'a b c '.rsplit(none, 1) }}",
        "{{ 'a,b,c'.rsplit(',', 1) }} {{ 'aaa'.rsplit('aa') }} {{ 'aaa'.rsplit('aa', 1) }} {{ ''.split(',') }} {{ ''.split() }} {{ 'a'.split('a') }}", "{{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'a\\nb'.splitlines(true) }}", "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.startswith('') }}",
        "{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'ab'.replace('', '.') }}", "{{ 'grüße'.upper() }} {{ 'ÀÉ'.lower() }} {{ 'hello wORLD'.title() }} {{ 'hELLO'.capitalize() }} {{ \"they're x1y\".title() }} {{ 'aB'.swapcase() }}",
        "{{ 'héllo'.find('l') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('b') }} {{ 'abc'.index('c') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.find('c', 0, 2) }} {{ 'abcb'.find('b', 2) }}", "{{ 'abc'.index('z') }}", "{{ '-'.join(['a', 'b']) }} {{ ''.join([]) }}", "{{ '-'.join([1]) }}",
        "{{ '12'.isdigit() }} {{ ''.isdigit() }} {{ 'a1'.isalnum() }} {{ 'aé'.isalpha() }} {{ ' \\n'.isspace() }} {{ 'ab'.islower() }} {{ 'A1'.isupper() }}", "[{{ 'a'.ljust(3) }}][{{ 'a'.rjust(3, '.') }}][{{ 'ab'.center(5, '*') }}][{{ 'abc'.center(6) }}][{{ '-7'.zfill(4) }}]",
        "{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }}", "{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}", "{{ 'a'.split('') }}", "{{ 'a'.nothing }}|{{ 'a'.nothing() }}",
        "{{ 'The {} of {}'.format('a', 1) }} {{ '{1}{0}'.format(1, 2) }} {{ '{x}{{}}'.format(x='q') }} {{ '{0[1]} {m.role}'.format([7, 8], m=messages[0]) }}", "{{ '{:>5}|{:<4}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{!r}|{:+}|{:*^7}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 255, 'q', 3, 'mid') }}",
        "{{ '{:e} {:g} {:%} {:10.3f} {:s}'.format(12345.678, 0.0001, 0.25, 2.5, 'x') }}", "{{ '{}'.format() }}", "{{ '{:d}'.format('a') }}", "{{ '%s and %d, %5.1f|%-4s|%04d|%x|%r|%%' % ('a', 3, 2.25, 'b', 7, 255, 'q') }}", "{{ '%(a)s' % {'a': 1} }}", "{{ '%s' % 'x' }} {{ '%s' % [1] }}", "{{ '%d' % 'a' }}", "{{ '%s %s' % 'a' }}", "{{ 'a' % 1 }}",
    ],
    "dict and list methods": [
        "{{ messages[2].extra.keys() | list }} {{ messages[2].extra.values() | list }} {{ messages[2].extra.items() | list }}", "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }}", "{{ {'a': 1}.keys() }} {{ {'a': 1}.values() }} {{ {'a': 1}.items() }}", "{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }}", "{{ [1].index(5) }}", "{{ {'a': 1}.pop('a') }}", "{{ {}.get() }}",
        "{{ dict(a=1, b=2) }} {{ dict({'a': 1}, b=3) }} {{ dict([('x', 1)]) }}", "{{ {}.copy() }} {{ [1].copy() }}",
    ],
    "filters": [
        "{{ ' a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 5 | trim }}", "{{ 'aB' | upper }} {{ 'aB' | lower }} {{ 'hello wORLD-foo (bar' | title }} {{ 'ABC' | capitalize }}", "{{ [1,2,3] | length }} {{ 'é👋' | length }} {{ {'a': 1} | count }} {{ x | length }}", "{{ 5 | length }}", "{{ [1, 'a', none] | join(', ') }} {{ messages | join('/', attribute='role') }} {{ 'abc' | join('-') }}",
        "{{ messages | map(attribute='role') | list }} {{ ['a', 'b'] | map('upper') | join }} {{ messages | map(attribute='zz', default='-') | list }} {{ [1.5] | map('int') | list }} {{ messages | map(attribute='extra.n') | list }}", "{{ [1,2,3,4] | select('even') | list }} {{ [1,2,3] | reject('equalto', 2) | list }} {{ [0, 1, ''] | select | list }}",
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ messages | rejectattr('extra') | list | length }} {{ messages | selectattr('extra', 'defined') | list | length }} {{ messages | selectattr('role', 'in', ['user', 'x']) | first | tojson }}", "{{ x | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | d('e') }} {{ none | default('e', boolean=true) }}",
        "{{ [3,1,2] | first }} {{ [3,1,2] | last }} {{ 'abc' | first }} {{ [] | first }}|{{ [] | last }}|", "{{ 'abc' | list }} {{ {'a': 1} | list }} {{ range(3) | list }}", "{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}", "{{ {'b': 1} | items | list }} {% for k, v in {'b': 1} | items %}{{ k }}{{ v }}{% endfor %}",
        "{{ [3,1,2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1,2] | sort(reverse=true) }} {{ messages | sort(attribute='role') | map(attribute='role') | list }}", "{{ [1, 'a'] | sort }}", "{{ [1,2,1,'a','A'] | unique | list }} {{ messages | unique(attribute='role') | list | length }}", "{{ [1,2,3] | reverse | list }} {{ 'abc' | reverse }}",
        "{{ 'aXbX' | replace('X', '-') }} {{ 'aXbX' | replace('X', '-', 1) }} {{ 11 | replace(1, 2) }}", "{{ 1.0 | string }} {{ [1] | string | length }} {{ none | string }} {{ true | string }}", "{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(-1) }} {{ 3.9 | int }} {{ -3.9 | int }} {{ '0x1f' | int(base=16) }} {{ ' 7 ' | int }} {{ none | int }} {{ '1_0' | int }} {{ true | int }}", "{{ '1.5' | float }} {{ 'x' | float }} {{ 2 | float }} {{ 'nan' | float }} {{ '1e400' | float }}",
        "{{ -3 | abs }} {{ -2.5 | abs }}", "{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ 1234 | round(-2) }} {{ 2.675 | round(2) }} {{ 5 | round }}", "{{ [1,2,3] | sum }} {{ [{'n': 1}, {'n': 2}] | sum(attribute='n') }} {{ [1.5] | sum(start=1) }} {{ [] | sum }}", "{{ [3,1,2] | min }} {{ [3,1,2] | max }} {{ ['b', 'A'] | min }} {{ [] | max }}|",
        "{{ [1,2,3,4,5] | batch(2) | list }} {{ [1,2,3] | batch(2, 0) | list }} {{ [1,2,3,4,5] | slice(2) | list }}", "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(2, blank=true) }}|{{ 'a\\nb\\n' | indent('> ') }}|", "{{ '<a & \"b\">' | escape }} {{ '<b>' | e }} {{ '<b>' | safe }} {{ 'x' ~ ('<' | safe) }} {{ '<' + ('>' | safe) }} {{ ('<' | e) + '<' }}",
        "{% for g, xs in [{'k': 'a', 'v': 1}, {'k': 'b', 'v': 2}, {'k': 'A', 'v': 3}] | groupby('k') %}{{ g }}:{{ xs | map(attribute='v') | list }};{% endfor %}", "{{ '%s-%d' | format('a', 3) }} {{ '%(x)s' | format(x=1) }}", "{{ 'a b-c' | wordcount }} [{{ 'x' | center(5) }}] {{ messages[0] | attr('role') }}|", "{{ x | upper }}|{{ x | list }}|{{ x | join(',') }}|{{ x | string }}|", "{{ x | int }}", "{{ x | tojson }}", "{{ 1 | nofilter }}", "{{ 'a' | upper(1) }}",
        "{% set g = [1,2] | map('string') %}{{ g | list }}{{ g | list }}", "{{ ([] | select) and 'generators are true' }}", "{{ ([1] | map('string')) | length }}", "{{ 'a' | first | upper ~ 'b' }} {{ -1 | abs }} {{ 'a' ~ 'b' | upper }}", "{{ 'ß' | upper }} {{ 'ǆ' | title }}", "{{ messages | map('length') | list }}",
        "{{ [[1, 2], [3]] | map('first') | list }} {{ [[1, 2], [3]] | sum(start=[]) }} {{ messages | map(attribute=0) | list }}", "{{ {'a': {'b': [10, 20]}} | string }} {{ [{'a': [1]}] | map(attribute='a.0') | list }}",
    ],
    "tojson": [
        "{{ messages[2] | tojson }}", "{{ messages | tojson(indent=2) }}", "{{ {'b': 1, 'a': [1, 2, {}], 'c': []} | tojson(sort_keys=true) }} {{ {'b': 1, 'a': [1, {'x': []}]} | tojson(indent=4, sort_keys=true) }}", "{{ 'é \"q\" \\\\ \\n\\t <b> & \\u2028 \\x01 \\x7f 👋' | tojson }} {{ 'é👋\\x7f' | tojson(ensure_ascii=true) }}", "{{ [1.0, 1e20, 1e-7, 0.1, -0.0, 100000.5, true, none] | tojson }}", "{{ {1: 'a', none: 2, true: 3, 1.5: 4} | tojson }}",
        "{{ {'a': 1, 'b': [1, 2]} | tojson(separators=(',', ':')) }}", "{{ (1, 2) | tojson }} {{ 'x' | tojson }} {{ none | tojson }} {{ [] | tojson(indent=2) }}", "{{ {'a': 1} | tojson(indent='--') }}", "{{ range(2) | tojson }}", "{{ {'a': 1} | tojson | safe }} {{ '\"' ~ ({'a': 1} | tojson) ~ '\"' }} {{ {(1,2): 1} | tojson }}", "{{ {'a': 1} | tojson(indent=0) }}",
    ],
    "tests": [
        "{{ x is defined }} {{ x is undefined }} {{ none is none }} {{ 'a' is string }} {{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ 1 is boolean }}", "{{ {} is mapping }} {{ [] is sequence }} {{ 'a' is sequence }} {{ {} is sequence }} {{ [] is iterable }} {{ 1 is iterable }} {{ range(2) is sequence }} {{ {}.keys() is sequence }} {{ ([] | map('int')) is iterable }} {{ x is iterable }} {{ x is sequence }}",
        "{{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }}", "{{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }}", "{{ 1 is equalto 1 }} {{ 1 is eq(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 1 is in [1] }} {{ 'a' is in 'abc' }} {{ 3 is sameas 3 }} {{ none is sameas none }}", "{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'a' is not string }} {{ 1 is not none and true }}",
        "{{ range is callable }} {{ 'a' is callable }} {{ 'upper' is filter }} {{ 'zz' is filter }} {{ 'odd' is test }} {{ '<' is escaped }} {{ ('<' | e) is escaped }}", "{{ 1 is nothing }}", "{{ messages[0].content is string and messages[0].content is not none }}", "{{ 'x' if x is not defined else 'y' }}", "{{ 'a' is odd }}", "{{ not x is defined }} {{ [] is not defined }}",
    ],
    "functions": [
        "{{ range(3) }} {{ range(1, 4) | list }} {{ range(5, 0, -2) | list }} {{ range(0) }} {{ range(2, 9, 3) }}", "{{ range(1.5) }}", "{{ range(200000) }}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}", "{% set j = joiner('; ') %}{{ j() }}a{{ j() }}b{{ joiner()() }}", "{{ strftime_now('%Y-%m-%d %H:%M:%S %d %B %b %A %j %%') }}", "{{ namespace(a=1).a }} {{ namespace({'b': 2}).b }}",
        "{{ nothing() }}", "{{ none() }}", "{{ range() }}", "{% set args = [1, 3] %}{{ range(*args) | list }} {{ dict(**{'a': 1}) }}", "{{ documents is none }} {{ tools is none }} {{ add_generation_prompt }} {{ bos_token }}{{ eos_token }} {{ pad_token is defined }}",
    ],
    "undefined and none": [
        "[{{ x }}] [{{ none }}] [{{ messages[0].x }}]", "{{ x() }}", "{{ x.y.z }}", "{{ x ~ 'a' }} {{ [x] }} {{ x or 'b' }} {{ not x }}", "{{ x < 1 }}", "{{ x * 2 }}", "{{ 'a' if x else 'b' }} {{ x is none }}", "{{ messages[0]['a']['b'] }}", "{{ none['a'] }}|{{ 5['a'] }}|", "{{ 'a' % x }}",
    ],
}


def cases():
    for feature, templates in FEATURES.items():
        for number, template in enumerate(templates):
            yield {"name": f"{feature} / {number}", "template": template, "messages": MESSAGES}
