"""Every blueprint of routes that are for staff."""

from cardservice.staff_api import own, sign_in

STAFF_BLUEPRINTS = (sign_in.blueprint, own.blueprint)
