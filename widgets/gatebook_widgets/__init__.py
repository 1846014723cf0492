"""What does a tool of ten lines consist of? Parts that follow one another: search, table, record, an action's form.

    desk = Search("Last name", find_customers)
    customers = RecordTable("Customers", desk)
    invoices = RecordTable("Invoices", customers, load=invoices_of)
    refund = ActionForm("refund_invoice", invoices, invoice_id="invoiceid")
    Tool("Customer desk", "Find a customer, refund an invoice.", desk, customers, invoices, refund)

Everything runs in the kernel with its viewer's rights. What a widget allows or hides protects nothing: the gateway
decides about every call, whoever made the page send it.
"""

from gatebook_widgets.cards import ChangeCard, RowDiff
from gatebook_widgets.charts import Chart
from gatebook_widgets.choosing import Choice
from gatebook_widgets.downloads import Download
from gatebook_widgets.forms import ActionForm
from gatebook_widgets.inbox import Inbox
from gatebook_widgets.keyset import Comparison
from gatebook_widgets.parts import Part, when_open
from gatebook_widgets.progress import Progress, Step, reading
from gatebook_widgets.records import RecordView, Related
from gatebook_widgets.search import Search
from gatebook_widgets.tables import RecordTable
from gatebook_widgets.tool import SideBySide, Tabs, Tool
from gatebook_widgets.uploads import BulkUpload

__all__ = [
    "ActionForm",
    "BulkUpload",
    "ChangeCard",
    "Chart",
    "Choice",
    "Comparison",
    "Download",
    "Inbox",
    "Part",
    "Progress",
    "RecordTable",
    "RecordView",
    "Related",
    "RowDiff",
    "Search",
    "SideBySide",
    "Step",
    "Tabs",
    "Tool",
    "reading",
    "when_open",
]
