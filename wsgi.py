"""What the web server loads: `granian --interface wsgi wsgi:app`."""

from popoff import create_app

app = create_app()
