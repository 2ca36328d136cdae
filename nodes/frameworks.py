"""What declared names mean: frameworks with who writes their code, databases, migration tools and test runners."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

Meaning = Mapping[str, tuple[str, ...]]
"""What it is called, and the declared names that show it; `*` in one stands for any letters."""

MANIFESTS: Mapping[str, str] = MappingProxyType({
    "pyproject.toml": "Python", "setup.py": "Python", "setup.cfg": "Python", "Pipfile": "Python",
    "package.json": "Node", "pom.xml": "Java", "build.gradle": "Java", "build.gradle.kts": "Java", "go.mod": "Go",
    "Cargo.toml": "Rust", "Gemfile": "Ruby", "composer.json": "PHP",
})  # fmt: skip
"""The family of languages whose packages a manifest of this name declares."""

FAMILIES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "Python": {".py": "Python"},
    "Node": {".ts": "TypeScript", ".mts": "TypeScript", ".cts": "TypeScript", ".tsx": "TypeScript",
             ".js": "JavaScript", ".mjs": "JavaScript", ".cjs": "JavaScript", ".jsx": "JavaScript"},
    "Java": {".java": "Java", ".kt": "Kotlin"},
    "Go": {".go": "Go"}, "Rust": {".rs": "Rust"}, "Ruby": {".rb": "Ruby"}, "PHP": {".php": "PHP"},
    ".NET": {".cs": "C#", ".fs": "F#"},
})  # fmt: skip
"""Suffixes of each family's code and the language they show."""

EXPERTS: Mapping[str, str] = MappingProxyType({"Python": "python-pro", "Node": "nodejs-expert", "Java": "java-expert"})
"""Who writes a family's code (Backend Specialist Roster)."""
MODES: Mapping[str, str] = MappingProxyType({"fastapi": "fastapi-developer", "django": "django-developer"})
"""Who writes a framework's code before the language's expert."""
GENERALIST = "backend-engineer"
GRAPHQL_EXPERT = "graphql-architect"

SERVERS: Meaning = MappingProxyType({
    "fastapi": ("fastapi",),
    "django": ("django", "wagtail"),
    "flask": ("flask",), "litestar": ("litestar",), "starlette": ("starlette",), "aiohttp": ("aiohttp",),
    "sanic": ("sanic",), "tornado": ("tornado",), "falcon": ("falcon",), "bottle": ("bottle",),
    "pyramid": ("pyramid",),
    "nestjs": ("@nestjs/core",), "express": ("express",), "fastify": ("fastify",), "koa": ("koa",),
    "hapi": ("@hapi/hapi",), "hono": ("hono",), "restify": ("restify",), "adonis": ("@adonisjs/core",),
    "next": ("next",), "nuxt": ("nuxt",), "remix": ("@remix-run/node",), "sveltekit": ("@sveltejs/kit",),
    "tanstack-start": ("@tanstack/react-start",),
    "spring-boot": ("org.springframework.boot:*", "org.springframework.boot"), "spring": ("org.springframework:*",),
    "quarkus": ("io.quarkus:*", "io.quarkus"), "micronaut": ("io.micronaut:*", "io.micronaut.application"),
    "ktor": ("io.ktor:*",), "dropwizard": ("io.dropwizard:*",),
    "gin": ("github.com/gin-gonic/gin",), "echo": ("github.com/labstack/echo*",), "chi": ("github.com/go-chi/chi*",),
    "fiber": ("github.com/gofiber/fiber*",), "gorilla": ("github.com/gorilla/mux",),
    "aspnetcore": ("microsoft.net.sdk.web", "microsoft.aspnetcore.app"),
    "grpc": ("google.golang.org/grpc", "grpcio", "@grpc/grpc-js", "io.grpc:*", "grpc.aspnetcore", "tonic"),
    "actix": ("actix-web",), "axum": ("axum",), "rocket": ("rocket",),
    "rails": ("rails",), "sinatra": ("sinatra",),
    "laravel": ("laravel/framework",), "symfony": ("symfony/framework-bundle",), "slim": ("slim/slim",),
})  # fmt: skip
"""Frameworks of servers, the more telling before what they are built on."""

GRAPHQL: Meaning = MappingProxyType({
    "apollo-server": ("apollo-server*", "@apollo/server", "@apollo/gateway", "@apollo/subgraph"),
    "graphql-yoga": ("graphql-yoga", "@graphql-yoga/*"), "mercurius": ("mercurius",),
    "nestjs-graphql": ("@nestjs/graphql",), "type-graphql": ("type-graphql",), "express-graphql": ("express-graphql",),
    "strawberry": ("strawberry-graphql", "strawberry-graphql-django"), "ariadne": ("ariadne",),
    "graphene": ("graphene", "graphene-django"),
    "graphql-java": ("com.graphql-java:*", "com.netflix.graphql.dgs:*"), "gqlgen": ("github.com/99designs/gqlgen",),
    "graphql-ruby": ("graphql-ruby",), "hotchocolate": ("hotchocolate.*",),
})  # fmt: skip
REST: Meaning = MappingProxyType({
    "": ("fastapi", "djangorestframework", "django-ninja", "flask-restful", "flask-smorest", "flask-restx",
         "@nestjs/swagger", "org.springdoc:*", "wagtail", "next", "nuxt",
         "org.springframework.boot:spring-boot-starter-web*", "org.springframework.boot:spring-boot-starter-hateoas"),
})  # fmt: skip
"""What shows that GraphQL is not all that a service offers."""

INTERFACES: Meaning = MappingProxyType({
    "react": ("react", "react-dom"), "vue": ("vue",), "angular": ("@angular/core",), "svelte": ("svelte",),
    "solid": ("solid-js",), "react-native": ("react-native",), "tailwind": ("tailwindcss",),
})  # fmt: skip

DATABASES: Meaning = MappingProxyType({
    "postgresql": (
        "psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000", "pg", "pg-promise", "postgres",
        "@vercel/postgres", "@neondatabase/serverless", "org.postgresql:*", "io.r2dbc:r2dbc-postgresql",
        "github.com/lib/pq", "github.com/jackc/pgx*", "gorm.io/driver/postgres", "npgsql*", "tokio-postgres",
        "@prisma/adapter-pg",
    ),
    "mysql": (
        "mysql", "mysql2", "mysqlclient", "pymysql", "aiomysql", "mysql-connector-python", "mysql:*", "com.mysql:*",
        "github.com/go-sql-driver/mysql", "gorm.io/driver/mysql", "mysqlconnector", "pomelo.entityframeworkcore.mysql",
    ),
    "mariadb": ("mariadb", "org.mariadb.jdbc:*"),
    "sqlite": (
        "sqlite3", "better-sqlite3", "aiosqlite", "@libsql/client", "org.xerial:*", "github.com/mattn/go-sqlite3",
        "modernc.org/sqlite", "gorm.io/driver/sqlite", "github.com/jinzhu/gorm/dialects/sqlite", "rusqlite",
        "microsoft.entityframeworkcore.sqlite",
    ),
    "sqlserver": ("mssql", "tedious", "pyodbc", "com.microsoft.sqlserver:*", "microsoft.data.sqlclient",
                  "microsoft.entityframeworkcore.sqlserver"),
    "mongodb": ("mongodb", "mongoose", "pymongo", "motor", "beanie", "mongoengine", "go.mongodb.org/mongo-driver*",
                "org.mongodb:*", "mongodb.driver", "@fastify/mongodb"),
    "redis": ("redis", "ioredis", "django-redis", "github.com/redis/go-redis*", "github.com/go-redis/redis*",
              "stackexchange.redis", "microsoft.extensions.caching.stackexchangeredis"),
    "h2": ("com.h2database:*",), "hsqldb": ("org.hsqldb:*",),
    "neo4j": ("neo4j", "neo4j-driver"), "cassandra": ("cassandra-driver",),
    "elasticsearch": ("elasticsearch", "@elastic/elasticsearch"),
})  # fmt: skip

MIGRATIONS: Meaning = MappingProxyType({
    "alembic": ("alembic", "flask-migrate"), "aerich": ("aerich",), "django": ("django", "wagtail"),
    "prisma": ("prisma", "@prisma/client"), "drizzle": ("drizzle-kit",), "typeorm": ("typeorm", "@nestjs/typeorm"),
    "mikro-orm": ("@mikro-orm/migrations",), "node-pg-migrate": ("node-pg-migrate",), "postgrator": ("postgrator",),
    "knex": ("knex",), "sequelize": ("sequelize", "sequelize-cli"),
    "kysely": ("kysely-ctl",),
    "flyway": ("org.flywaydb:*", "org.flywaydb.flyway"), "liquibase": ("org.liquibase:*", "org.liquibase.gradle"),
    "golang-migrate": ("github.com/golang-migrate/migrate*",), "goose": ("github.com/pressly/goose*",),
    "diesel": ("diesel",), "sqlx": ("sqlx",), "activerecord": ("rails", "activerecord"),
    "laravel": ("laravel/framework",), "doctrine": ("doctrine/doctrine-migrations-bundle",),
    "efcore": ("microsoft.entityframeworkcore.design", "microsoft.entityframeworkcore.tools"),
})  # fmt: skip

RUNNERS: Meaning = MappingProxyType({
    "pytest": ("pytest", "pytest-django", "pytest-cov"), "vitest": ("vitest",), "jest": ("jest", "ts-jest"),
    "mocha": ("mocha",), "ava": ("ava",), "tap": ("tap",), "jasmine": ("jasmine",), "rspec": ("rspec", "rspec-rails"),
    "junit": ("junit:*", "org.junit.jupiter:*", "org.springframework.boot:spring-boot-*test"),
    "kotest": ("io.kotest:*",), "pest": ("pestphp/pest",), "phpunit": ("phpunit/phpunit",),
    "xunit": ("xunit*",), "nunit": ("nunit*",), "mstest": ("mstest*",),
})  # fmt: skip

_LOCKS: Mapping[str, str] = MappingProxyType({
    "uv.lock": "uv", "poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile.lock": "pipenv", "Pipfile": "pipenv",
    "package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm",
    "bun.lock": "bun", "bun.lockb": "bun", "mvnw": "maven", "pom.xml": "maven", "gradlew": "gradle",
    "build.gradle": "gradle", "build.gradle.kts": "gradle",
})  # fmt: skip
LOCKS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "Python": {name: tool for name, tool in _LOCKS.items() if tool in {"uv", "poetry", "pdm", "pipenv"}},
    "Node": {name: tool for name, tool in _LOCKS.items() if tool in {"npm", "yarn", "pnpm", "bun"}},
    "Java": {name: tool for name, tool in _LOCKS.items() if tool in {"maven", "gradle"}},
})  # fmt: skip
"""The package manager by the files it leaves, the most telling first."""
USUAL: Mapping[str, str] = MappingProxyType({
    "Python": "pip", "Node": "npm", "Go": "go", "Rust": "cargo", "Ruby": "bundler", "PHP": "composer",
    ".NET": "dotnet",
})  # fmt: skip
"""The package manager where no file tells."""


def meant(meaning: Meaning, names: Iterable[str]) -> dict[str, str]:
    """What declared `names` mean, in the order of `meaning`, and the first that shows it; never a part of a name."""
    known = list(names)
    found = ((what, shown) for what, signs in meaning.items() if (shown := _shown(signs, known)))
    return dict(found)


def _shown(signs: Iterable[str], known: list[str]) -> str | None:
    return next((name for sign in signs for name in known if fnmatchcase(name, sign)), None)
