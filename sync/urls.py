"""The addresses under ``/sync/v1/``, specified in docs/sync-protocol.md."""

from django.urls import path, re_path

from sync.api import views

urlpatterns = [
    path("sync/v1/hello", views.HelloView.as_view(), name="sync-hello"),
    path("sync/v1/tips", views.TipsView.as_view(), name="sync-tips"),
    path("sync/v1/pull", views.PullView.as_view(), name="sync-pull"),
    path("sync/v1/push", views.PushView.as_view(), name="sync-push"),
    path("sync/v1/values", views.ValuesView.as_view(), name="sync-values"),
    path("sync/v1/verify", views.VerifyView.as_view(), name="sync-verify"),
    path("sync/v1/join", views.JoinView.as_view(), name="sync-join"),
    path("sync/v1/wake", views.WakeView.as_view(), name="sync-wake"),
    re_path(r"^sync/v1/blobs/(?P<digest>[0-9a-f]{64})$", views.BlobView.as_view(), name="sync-blob"),
]
