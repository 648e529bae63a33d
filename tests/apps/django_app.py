# SPDX-License-Identifier: Apache-2.0
"""A Django project in one file: a session, a CSRF token and a JSON API. gunicorn runs `application`.

CORS_SETTINGS is Python that is added to its settings; docs/migrate.md has what is tried out so. With it,
django-cors-headers is in, as its own documentation has it."""

import json
import os

from django.conf import settings

extra = os.environ.get("CORS_SETTINGS")
# Kept, because a signal does not keep its receivers.
namespace = {}
exec(extra or "", namespace)
values = {name: value for name, value in namespace.items() if name.isupper()}

settings.configure(
    DEBUG=False,
    SECRET_KEY="not a secret: a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    CSRF_TRUSTED_ORIGINS=[os.environ.get("CSRF_TRUSTED_ORIGIN", "https://app.example.com")],
    INSTALLED_APPS=["django.contrib.sessions", *(["corsheaders"] if extra is not None else [])],
    MIDDLEWARE=[
        *(["corsheaders.middleware.CorsMiddleware"] if extra is not None else []),
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    **values,
)

from django.core.wsgi import get_wsgi_application  # noqa: E402  the settings come first
from django.http import JsonResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

items = ["one"]


def csrf(request):
    return JsonResponse({"token": get_token(request)})


def login(request):
    request.session["user"] = json.loads(request.body)["user"]
    return JsonResponse({"user": request.session["user"]})


def api(request, name=None):
    user = request.session.get("user")
    if not user:
        return JsonResponse({"error": "sign in first"}, status=401)
    if request.method == "POST":
        items.append(json.loads(request.body)["item"])
        return JsonResponse({"items": items}, status=201)
    response = JsonResponse({"items": items, "user": user})
    response["X-Total-Count"] = str(len(items))
    return response


@csrf_exempt
def public(request):
    response = JsonResponse({"method": request.method})
    response["X-Total-Count"] = "1"
    return response


def broken(request):
    raise RuntimeError("broken")


urlpatterns = [
    path("csrf/", csrf),
    path("login/", login),
    path("api/items/", api),
    path("api/public/", public),
    path("api/partners/", public),
    path("api/broken/", broken),
    path("other/", public),
]

application = get_wsgi_application()
